"""Other processes on the same store: concurrent writers, killed writers, and children of a fork."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from reference_backends import StorageError
from tests.reference_backends.embedded.conftest import Build, Open, run_worker
from tests.reference_backends.forked import forked


def test_processes_lose_none_of_each_others_writes(kind: str, path: Path, build: Open, session: Build) -> None:
    backend = build()

    async def prepare() -> None:
        await backend.init()
        await backend.create_session(session("shared"))
        await backend.disconnect()

    async def check() -> None:
        await backend.init()
        shared = await backend.get_session("alice", "shared")
        assert shared is not None
        assert (shared.server_name, shared.server_id, shared.client_id) == (
            "server_name-9",
            "server_id-9",
            "client_id-9",
        )
        assert len(await backend.get_all_session_ids()) == 11
        await backend.disconnect()

    asyncio.run(prepare())
    names = ("server_name", "server_id", "client_id")
    workers = [run_worker(kind, path, "race", name, 10) for name in names]
    for process in workers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in workers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in workers:
        outputs += process.communicate()[0].split()
        assert process.returncode == 0
    assert sorted(outputs) == sorted(f"raced-{number}" for number in range(10))
    asyncio.run(check())


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    kind: str, path: Path, build: Open, acknowledged: int
) -> None:
    process = run_worker(kind, path, "create", "w")
    assert process.stdout is not None
    kept = [process.stdout.readline().strip() for _ in range(acknowledged)]
    process.kill()
    kept += process.communicate()[0].split("\n")[:-1]

    async def check() -> None:
        backend = build()
        await backend.init()
        stored = await backend.get_identity_sessions_data("alice")
        assert set(kept) <= {each.session_id for each in stored}
        assert all(each.tokens == {"a": each.session_id * 50} for each in stored)
        await backend.create_session(stored[0].model_copy(update={"session_id": "after"}))
        await backend.disconnect()

    asyncio.run(check())
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]


@pytest.mark.parametrize("guard", ["free", "held by a thread that the child has not"])
def test_a_handle_does_not_cross_a_fork(build: Open, session: Build, guard: str) -> None:
    backend = build()
    asyncio.run(backend.init())
    assert backend._serving is not None

    async def begin_anew() -> None:
        with pytest.raises(StorageError, match="forked"):
            await backend.get_all_session_ids()
        await backend.disconnect()
        await backend.init()
        await backend.create_session(session("child's"))
        await backend.disconnect()

    with nullcontext() if guard == "free" else backend._serving.worker._guard:
        child = forked(begin_anew)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    asyncio.run(backend.create_session(session()))
    assert sorted(asyncio.run(backend.get_all_session_ids())) == ["child's", "s1"]
    asyncio.run(backend.disconnect())


def test_a_child_outlives_its_parents_handle(kind: str, path: Path, build: Open, session: Build) -> None:
    """SQLite's last connection deletes the log. The parent's connection must not count as the last one."""
    parting, parted = os.pipe()

    async def write_before_and_after_the_parent_closes() -> None:
        mine = build()
        await mine.init()
        await mine.create_session(session("before"))
        os.write(other_end, b"x")
        os.read(parting, 1)
        await mine.create_session(session("after"))
        os.kill(os.getpid(), signal.SIGKILL)  # acknowledged writes must survive a kill

    backend = build()
    asyncio.run(backend.init())
    begun, other_end = os.pipe()
    child = forked(write_before_and_after_the_parent_closes)
    os.close(other_end)
    assert os.read(begun, 1), "the child could not write"
    asyncio.run(backend.create_session(session("parent's")))
    asyncio.run(backend.disconnect())
    os.write(parted, b"x")
    os.waitpid(child, 0)
    again = build()
    asyncio.run(again.init())
    assert sorted(asyncio.run(again.get_all_session_ids())) == ["after", "before", "parent's"]
    asyncio.run(again.disconnect())
    for descriptor in (parting, parted, begun):
        os.close(descriptor)


def test_a_fork_in_the_middle_of_a_write_locks_nobody_out(build: Open, session: Build) -> None:
    async def write() -> None:
        mine = build()
        await mine.init()
        await mine.create_session(session("child's"))
        await mine.disconnect()

    async def scenario() -> None:
        backend = build()
        await backend.init()
        assert backend._serving is not None
        begun = threading.Event()

        def slowly() -> None:
            begun.set()
            time.sleep(0.2)

        writing = asyncio.create_task(backend._serving.worker.write(slowly))
        await asyncio.to_thread(begun.wait)
        child = forked_on_a_thread(write)
        await writing
        await backend.create_session(session())
        assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1]) == 0
        assert sorted(await backend.get_all_session_ids()) == ["child's", "s1"]
        await backend.disconnect()

    def forked_on_a_thread(child: Callable[[], Coroutine[Any, Any, object]]) -> int:
        """Fork on another thread: a loop that runs in this thread can't run in its child."""
        pids: list[int] = []
        thread = threading.Thread(target=lambda: pids.append(forked(child)))
        thread.start()
        thread.join()
        return pids[0]

    asyncio.run(scenario())
