"""What a context leaves in a store that others use too: nothing of the suite's, and all of the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.oracle.bulk_create import create_many
from reference_backends import MemoryStorageBackend, SessionData


class Store(MemoryStorageBackend):
    """Outlives its handles' ends."""

    async def disconnect(self) -> None: ...


class Shared(BackendHarness):
    capabilities = frozenset({Capability.SHARED})
    dedicated = False

    def __init__(self) -> None:
        self.store: Any = Store()

    async def open(self, **options: Any) -> Any:
        await self.store.init()
        return self.store


def session(session_id: str, identity: str) -> SessionData:
    return SessionData(
        session_id=session_id, identity=identity, server_url="", transport_type="sse", callback_url="", created_at=0
    )


@pytest.fixture
def environment() -> Iterator[Callable[[type[Shared]], Environment]]:
    loop = SuiteLoop()
    yield lambda harness: Environment("it", harness, loop)
    loop.close()


def test_what_the_suite_wrote_is_removed_and_nothing_else(environment: Callable[[type[Shared]], Environment]) -> None:
    used = environment(Shared)
    context = TestContext(used, TIERS["smoke"], 0, destructive=False)

    async def work() -> list[str]:
        store: Any = await used.harness.open()
        await store.create_session(session("theirs", "them"))
        recording = await context.store()
        await recording.create_session(context.own(session("one", "us")))
        await create_many(context, recording, context.own(session("many", "us")), 60)
        assert len(await store.get_all_session_ids()) == 62
        await context.tidy()
        left: list[str] = await store.get_all_session_ids()
        return left

    assert used.loop.run(work()) == ["theirs"]
    assert not used.hung


@pytest.mark.parametrize("change", [str.upper, lambda identity: identity[:20], lambda identity: f"tenant-1:{identity}"])
def test_sessions_whose_identity_the_store_changed_are_removed_too(
    environment: Callable[[type[Shared]], Environment], change: Callable[[str], str]
) -> None:
    class Changing(Store):
        async def create_session(self, session: SessionData, ttl: Any = None) -> None:
            await super().create_session(session.model_copy(update={"identity": change(session.identity)}), ttl)

        async def get_session(self, identity: str, session_id: str) -> SessionData | None:
            return await super().get_session(change(identity), session_id)

    class Sharing(Shared):
        def __init__(self) -> None:
            self.store = Changing()

    used = environment(Sharing)
    context = TestContext(used, TIERS["smoke"], 0, destructive=False)

    async def work() -> list[str]:
        recording = await context.store()
        await used.harness.store.create_session(session("theirs", "them"))  # type: ignore[attr-defined]
        one = context.own(session("one", "somebody with a long name"))
        await recording.create_session(one)
        await recording.get_session(one.identity, one.session_id)
        await context.tidy()
        left: list[str] = await used.harness.store.get_all_session_ids()  # type: ignore[attr-defined]
        return left

    assert used.loop.run(work()) == ["theirs"]


@pytest.mark.parametrize(
    ("seconds", "reported"), [(315576000.0, "315576000"), (1.5, "1.5"), (43199.5, "43199.5"), (2.00000024, "2")]
)
def test_time_that_passes_is_shown_without_an_exponent(
    environment: Callable[[type[Shared]], Environment], seconds: float, reported: str
) -> None:
    class Clocked(Shared):
        capabilities = frozenset({Capability.CLOCK})

    used = environment(Clocked)
    used.start()
    context = TestContext(used, TIERS["smoke"], 0, destructive=False)
    used.loop.run(context.pass_time(seconds))
    assert context.history.lines() == [f"… {reported} s pass …"]


def test_a_store_that_does_not_let_go_is_noted(
    environment: Callable[[type[Shared]], Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holds(Store):
        async def disconnect(self) -> None:
            await asyncio.sleep(3600)

    class Hanging(Shared):
        def __init__(self) -> None:
            self.store = Holds()

    monkeypatch.setattr("pytest_mcp_storage.engine.cleanup.LONGEST_CALL", 0.01)
    used = environment(Hanging)
    context = TestContext(used, TIERS["smoke"], 0, destructive=False)

    async def work() -> None:
        await context.store()
        await context.tidy()

    used.loop.run(work())
    assert used.hung


@pytest.mark.parametrize(
    ("capabilities", "keys", "name"),
    [((), (), "store"), ((Capability.KEY,), ("5e" * 32,), "store"), ((Capability.KEY,), (), "keyless")],
)
def test_handles_are_named_by_what_distinguishes_them(
    environment: Callable[[type[Shared]], Environment],
    capabilities: tuple[Capability, ...],
    keys: tuple[str, ...],
    name: str,
) -> None:
    used = environment(type("Some", (Shared,), {"capabilities": frozenset(capabilities)}))
    context = TestContext(used, TIERS["smoke"], 0, destructive=False)
    assert used.loop.run(context.holder(*keys)).name == name


def test_a_slow_store_gets_as_many_items_as_the_time_of_the_tier_allows(
    environment: Callable[[type[Shared]], Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = TestContext(environment(Shared), TIERS["smoke"], 0, destructive=False)
    now = 0.0
    monkeypatch.setattr("pytest_mcp_storage.engine.context.time.monotonic", lambda: now)
    assert list(context.in_filling_time(range(20), "texts")) == [*range(20)]
    assert context.notes == []
    taken = []
    for number in context.in_filling_time(range(20), "texts"):
        taken.append(number)
        now += 4
    assert taken == [0, 1, 2]
    assert context.notes == ["left out: 17 of 20 texts: the others took over 10 s"]
