"""``storage``: one choice and one backend in a process, from any loop and thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from reference_backends import (
    MemoryStorageBackend,
    StorageBackend,
    StorageError,
    StorageUnavailableError,
    create_storage,
)
from reference_backends.selection.lazy import LazyStorage

Environ = Callable[..., dict[str, str]]


@pytest.mark.parametrize("names", [(), ("redis",), ("file",), ("sqlite",), ("supabase",)], ids=str)
def test_it_works_from_several_loops_and_threads(environ_of: Environ, names: tuple[str, ...], session: Any) -> None:
    """Loops one after another, and concurrent loops on threads, share one choice and one store."""
    chosen = []

    async def choose() -> StorageBackend:
        chosen.append(await create_storage(environ_of(None, *names)))
        return chosen[-1]

    storage = LazyStorage(choose)
    identity = f"loops-{names}"
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        async def use() -> None:
            await asyncio.gather(
                *(storage.create_session(session(f"{names}-{number}-{each}", identity)) for each in range(5))
            )

        start.wait()
        try:
            asyncio.run(use())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(chosen) == 1
    for _ in range(2):
        assert len(asyncio.run(storage.get_identity_mcp_sessions(identity))) == 20
    asyncio.run(storage.update_session(identity, f"{names}-0-0", {"active": True}))
    seen = asyncio.run(storage.get_session(identity, f"{names}-0-0"))
    assert seen == session(f"{names}-0-0", identity, active=True)
    asyncio.run(storage.remove_session(identity, f"{names}-0-0"))
    assert len(asyncio.run(storage.get_identity_sessions_data(identity))) == 19
    assert len(asyncio.run(storage.get_all_session_ids())) >= 19
    asyncio.run(storage.cleanup_expired_sessions())
    asyncio.run(storage.clear_all())
    asyncio.run(storage.disconnect())
    with pytest.raises(StorageError):
        asyncio.run(storage.get_session(identity, "s"))
    asyncio.run(storage.init())
    assert asyncio.run(storage.get_identity_mcp_sessions(identity)) == []
    asyncio.run(storage.disconnect())


def test_nothing_is_chosen_before_the_first_call() -> None:
    async def choose() -> StorageBackend:
        raise AssertionError

    storage = LazyStorage(choose)
    assert storage.generate_session_id()[0].isalpha()
    asyncio.run(storage.disconnect())


def test_a_choice_that_failed_is_made_again() -> None:
    attempts = 0

    async def choose() -> StorageBackend:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise StorageUnavailableError("not yet")
        backend = MemoryStorageBackend()
        await backend.init()
        return backend

    storage = LazyStorage(choose)
    with pytest.raises(StorageUnavailableError):
        asyncio.run(storage.get_all_session_ids())
    assert asyncio.run(storage.get_all_session_ids()) == []


def test_a_caller_that_gives_up_ends_its_call() -> None:
    entered, ended = threading.Event(), threading.Event()

    class Slow(MemoryStorageBackend):
        async def get_all_session_ids(self) -> list[str]:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

    async def choose() -> StorageBackend:
        backend = Slow()
        await backend.init()
        return backend

    async def check() -> None:
        task = asyncio.create_task(LazyStorage(choose).get_all_session_ids())
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(check())
    assert ended.wait(10)


SCRIPT = """
import asyncio, os, sys, threading
from reference_backends import SessionData, storage

how, identity = sys.argv[1:]

def session(name):
    return SessionData(session_id=f"{name} of {identity}", identity=identity, server_url="", transport_type="sse",
                       callback_url="", created_at=0)

asyncio.run(storage.create_session(session("parent")))
if how == "fork":
    child = os.fork()
    if child == 0:
        asyncio.run(storage.create_session(session("child")))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print(sorted(asyncio.run(storage.get_identity_mcp_sessions(identity))))
"""


@pytest.mark.parametrize("names", [("redis",), ("sqlite",), ("supabase",)], ids=str)
@pytest.mark.parametrize("how", ["plain", "fork"])
def test_a_process_ends_quietly_and_its_child_chooses_for_itself(
    environ_of: Environ, names: tuple[str, ...], how: str, key: str
) -> None:
    """If the interpreter ends with the store still open, nothing is printed and nothing hangs."""
    identity = f"{how} on {names[0]}"
    environ = {"PATH": os.environ["PATH"], "STORAGE_ENCRYPTION_KEY": key, "MCP_TS_STORAGE_STRICT": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, how, identity],
        env=environ | environ_of(None, *names),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    created = ["child", "parent"] if how == "fork" else ["parent"]
    assert run.stdout.strip() == str([f"{name} of {identity}" for name in created])


DISCONNECTED_AT_EXIT = """
import asyncio, os, weakref
from reference_backends import MemoryStorageBackend
from reference_backends.selection.lazy import LazyStorage

class Backend(MemoryStorageBackend):
    async def disconnect(self):
        print("farewell", flush=True)

chosen = []

async def choose():
    backend = Backend(encryption_key="00" * 32)
    await backend.init()
    chosen.append(weakref.ref(backend))
    return backend

storage = LazyStorage(choose)
asyncio.run(storage.get_all_session_ids())
child = os.fork()
if child == 0:
    asyncio.run(storage.get_all_session_ids())
    assert len(chosen) == 2, "the child uses its parent's backend"
    assert chosen[0]() is not None, "the child ended its parent's backend"
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("ending", flush=True)
"""


def test_the_backend_is_disconnected_at_the_end_and_only_then() -> None:
    quiet = "ignore::DeprecationWarning"  # since 3.12 Python warns about every fork of a process with threads
    command = [sys.executable, "-W", quiet, "-c", DISCONNECTED_AT_EXIT]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""
    assert run.stdout.split() == ["ending", "farewell"]
