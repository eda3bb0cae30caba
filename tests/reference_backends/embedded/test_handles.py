"""The life cycle of a handle: opened, closed, garbage-collected, opened again, and two of them on one store."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from reference_backends import (
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
)
from tests.reference_backends.embedded.conftest import (
    ENGINES,
    Build,
    Open,
    SetClock,
    assert_threads_end,
    every_call,
    threads_of,
)


def test_what_was_kept_is_there_after_a_new_open(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session("s1", tokens={"a": [1, 2.5, None]}, headers={}))
        await backend.create_session(session("gone"))
        await backend.update_session("alice", "s1", {"active": False})
        await backend.remove_session("alice", "gone")
        await backend.disconnect()
        again = build()
        await again.init()
        assert await again.get_identity_sessions_data("alice") == [
            session("s1", tokens={"a": [1, 2.5, None]}, headers={}, active=False)
        ]
        await again.disconnect()

    asyncio.run(scenario())


def test_expiry_is_kept_and_judged_by_the_readers_clock(build: Open, session: Build) -> None:
    clock = SetClock()

    async def scenario() -> None:
        backend = build(clock=clock, default_ttl=100)
        await backend.init()
        await backend.create_session(session("short"), ttl=0.5)
        await backend.create_session(session("default"))
        await backend.create_session(session("long"), ttl=315_576_000)
        await backend.disconnect()
        await backend.init()
        clock.now += 0.4375
        assert await backend.get_session("alice", "short") is not None
        clock.now += 0.0625
        assert await backend.get_session("alice", "short") is None
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("alice", "short", {})
        await backend.create_session(session("short", server_name="new"), ttl=10)
        assert await backend.get_session("alice", "short") == session("short", server_name="new")
        clock.now += 100
        assert await backend.get_identity_mcp_sessions("alice") == ["long"]
        assert [each.session_id for each in await backend.get_identity_sessions_data("alice")] == ["long"]
        assert await backend.get_all_session_ids() == ["long"]
        await backend.cleanup_expired_sessions()
        await backend.update_session("alice", "long", {})
        clock.now -= 50  # expired sessions that were kept would be returned again
        assert await backend.get_all_session_ids() == ["long"]
        clock.now += 150  # until the last moment
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_two_handles_see_each_other_at_once(build: Open, session: Build) -> None:
    async def scenario() -> None:
        one, two = build(), build()
        await one.init()
        await two.init()
        await one.create_session(session())
        assert await two.get_session("alice", "s1") == session()
        with pytest.raises(SessionExistsError):
            await two.create_session(session())
        for name in ("aa", "bb", "cc"):  # content of the same length, within one tick of the clock
            await two.update_session("alice", "s1", {"server_name": name})
            assert (await one.get_identity_sessions_data("alice"))[0].server_name == name
            assert (await one.get_session("alice", "s1") or session()).server_name == name
        await one.remove_session("alice", "s1")
        assert await two.get_all_session_ids() == []
        await one.create_session(session("s2"))
        await two.clear_all()
        assert await one.get_identity_mcp_sessions("alice") == []
        await one.disconnect()
        await two.create_session(session("s3"))
        assert await two.get_all_session_ids() == ["s3"]
        await two.disconnect()

    asyncio.run(scenario())


def test_a_failed_open_can_be_tried_again(build: Open, path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        path.parent.parent.mkdir(exist_ok=True)
        path.parent.write_text("in the way")
        with pytest.raises(StorageSetupError):
            await backend.init()
        path.parent.unlink()
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


def test_of_two_concurrent_inits_the_failing_one_does_not_close_the_other(
    kind: str, build: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = ENGINES[kind].open
    failures = [StorageUnavailableError("locked for a moment")]

    def open_at_the_second_try(engine: Any) -> None:
        if failures:
            raise failures.pop()
        opens(engine)

    monkeypatch.setattr(ENGINES[kind], "open", open_at_the_second_try)

    async def scenario() -> None:
        backend = build()
        first, second = await asyncio.gather(backend.init(), backend.init(), return_exceptions=True)
        assert isinstance(first, StorageUnavailableError)
        assert second is None
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())
    assert_threads_end(kind)


def test_one_that_is_closed_while_it_opens_does_not_say_that_it_is_open(build: Open) -> None:
    async def scenario() -> None:
        backend = build()
        opening = asyncio.create_task(backend.init())
        await asyncio.sleep(0)
        await backend.disconnect()
        with pytest.raises(StorageError, match="disconnected during init"):
            await opening

    asyncio.run(scenario())


def test_a_closed_store_answers_nothing_and_opens_again(kind: str, build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.disconnect()
        for _ in range(2):
            for call in every_call(backend, session)[1:]:
                with pytest.raises(StorageError, match="not open"):
                    await call()
            await asyncio.gather(backend.init(), backend.init())
            await backend.init()
            await backend.clear_all()
            await backend.create_session(session())
            await asyncio.gather(backend.disconnect(), backend.disconnect())
            await backend.disconnect()
        await backend.init()
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.disconnect()

    asyncio.run(scenario())
    assert_threads_end(kind)


def test_a_handle_keeps_nothing_of_its_former_openings(build: Open) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        former = backend._serving
        await backend.disconnect()
        assert former is not None
        assert not former.release.alive

    asyncio.run(scenario())


def test_disconnect_finishes_what_waits(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        await backend.disconnect()
        assert await asyncio.gather(*tasks) == [None] * 20
        await backend.init()
        assert len(await backend.get_all_session_ids()) == 20
        await backend.disconnect()

    asyncio.run(scenario())


def test_disconnect_returns_where_closing_fails(kind: str, build: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    close = ENGINES[kind].close

    def broken(self: Any) -> None:
        close(self)
        raise OSError("no more")

    async def scenario() -> None:
        backend = build()
        await backend.init()
        monkeypatch.setattr(ENGINES[kind], "close", broken)
        monkeypatch.setattr(threading, "excepthook", lambda hook_arguments: reported.append(hook_arguments.exc_value))
        async with asyncio.timeout(60):
            await backend.disconnect()

    asyncio.run(scenario())
    assert_threads_end(kind)
    assert [str(error) for error in reported] == ["no more"]


def test_a_forgotten_handle_ends_its_thread(kind: str, build: Open) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        assert threads_of(kind)

    asyncio.run(scenario())
    gc.collect()
    assert_threads_end(kind)
