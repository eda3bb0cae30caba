"""Many concurrent calls: what they share, and what happens if one is cancelled, slow or fails."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from reference_backends import SessionExistsError, StorageUnavailableError
from reference_backends.embedded import worker
from tests.reference_backends.embedded.conftest import ENGINES, Build, Open


def test_of_concurrent_creates_one_succeeds_and_no_update_is_lost(build: Open, session: Build) -> None:
    fields = ["server_id", "server_name", "server_url", "callback_url", "code_verifier", "client_id"]

    async def scenario() -> None:
        handles = [build(), build()]
        for handle in handles:
            await handle.init()
        outcomes = await asyncio.gather(
            *(handles[number % 2].create_session(session()) for number in range(20)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["SessionExistsError"] * 19
        for round_ in range(10):
            await asyncio.gather(
                *(
                    handles[number % 2].update_session("alice", "s1", {field: f"{field}{round_}"})  # type: ignore[misc]
                    for number, field in enumerate(fields)
                )
            )
            stored = await handles[0].get_session("alice", "s1")
            assert stored is not None
            assert [getattr(stored, field) for field in fields] == [f"{field}{round_}" for field in fields]
        for handle in handles:
            await handle.disconnect()

    asyncio.run(scenario())


def test_one_handle_serves_several_loops_and_threads(build: Open, session: Build) -> None:
    backend = build()
    asyncio.run(backend.init())
    problems: list[BaseException] = []

    def work(name: str) -> None:
        async def scenario() -> None:
            await asyncio.gather(*(backend.create_session(session(f"{name}-{number}")) for number in range(10)))
            for number in range(10):
                assert await backend.get_session("alice", f"{name}-{number}") is not None

        try:
            asyncio.run(scenario())
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(asyncio.run(backend.get_all_session_ids())) == 40
    asyncio.run(backend.disconnect())


def test_writers_that_wait_share_a_commit(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    writing: Any = ENGINES[kind].writing

    def counted(self: Any) -> Any:
        nonlocal commits
        commits += 1
        return writing(self)

    async def scenario() -> None:
        nonlocal commits
        monkeypatch.setattr(ENGINES[kind], "writing", counted)
        backend = build()
        await backend.init()
        commits = 0
        creating = (backend.create_session(session(f"s{number}")) for number in range(64))
        outcomes = await asyncio.gather(*creating, backend.create_session(session("s0")), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome] == [SessionExistsError]
        assert len(await backend.get_all_session_ids()) == 64
        assert 1 <= commits <= 16
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_cancelled_call_is_done_or_not_and_hurts_nobody(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kept = set(await backend.get_all_session_ids())
        assert {f"s{number}" for number, outcome in enumerate(outcomes) if outcome is None} <= kept
        for session_id in kept:
            assert await backend.get_session("alice", session_id) == session(session_id)
        await backend.disconnect()
        await backend.init()
        assert set(await backend.get_all_session_ids()) == kept
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_call_that_was_cancelled_before_its_turn_never_runs(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    find: Any = ENGINES[kind].find

    def slow(self: Any, *arguments: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return find(self, *arguments)

    async def scenario() -> None:
        backend = build()
        await backend.init()
        monkeypatch.setattr(ENGINES[kind], "find", slow)
        reading = asyncio.ensure_future(backend.get_session("alice", "s1"))
        await asyncio.to_thread(entered.wait, 30)
        late = asyncio.ensure_future(backend.create_session(session("late")))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait([late])
        leave.set()
        await reading
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_call_cancelled_while_it_runs_is_done_and_its_batch_returns(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    insert: Any = ENGINES[kind].insert

    def slow(self: Any, *arguments: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return insert(self, *arguments)

    async def scenario() -> None:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        backend = build()
        await backend.init()
        monkeypatch.setattr(ENGINES[kind], "insert", slow)
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(3)]
        await asyncio.to_thread(entered.wait, 30)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        leave.set()
        assert await asyncio.gather(*tasks[1:]) == [None, None]
        assert sorted(await backend.get_all_session_ids()) == ["s0", "s1", "s2"]
        assert not problems
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_does_not_answer_is_reported(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = threading.Event()
    find: Any = ENGINES[kind].find

    def hanging(self: Any, *arguments: Any) -> Any:
        assert leave.wait(30)
        return find(self, *arguments)

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        monkeypatch.setattr(ENGINES[kind], "find", hanging)
        monkeypatch.setattr(worker.Worker.read, "__defaults__", (0.05,))
        with pytest.raises(StorageUnavailableError, match="did not answer"):
            await backend.get_session("alice", "s1")
        leave.set()
        monkeypatch.undo()
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()

    asyncio.run(scenario())


def test_an_unexpected_error_reaches_the_caller_and_ends_nothing(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        for method in ("find", "replace"):
            with monkeypatch.context() as patch:
                patch.setattr(ENGINES[kind], method, broken)
                with pytest.raises(RuntimeError, match="a mistake of ours"):
                    await backend.update_session("alice", "s1", {"server_name": "n"})
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()

    asyncio.run(scenario())
