"""The backend that an environment leads to, and the ready-made object around it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.stacks import native
from pytest_mcp_storage.stacks.redis import redis_server
from reference_backends import (
    ConfigurationError,
    MemoryStorageBackend,
    SessionData,
    StorageBackend,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
    create_storage,
)
from reference_backends.ready_made import ReadyMadeStorage

KEY = "00112233445566778899aabbccddeeff" * 2
OTHER_KEY = "ff" * 32
CLASSES = {
    "redis": "RedisStorageBackend",
    "file": "FileStorageBackend",
    "sqlite": "SqliteStorageBackend",
    "supabase": "SupabaseProjectBackend",
    "memory": "MemoryStorageBackend",
}

# What the variables of a configuration stand for.
REDIS, REDIS_DOWN, REDIS_WRONG = "redis", "redis down", "redis wrong"
SUPABASE, SUPABASE_DOWN, SUPABASE_BARE = "supabase", "supabase down", "supabase bare"
ANON, NO_KEY, ONLY_KEY, WRONG_KEY = "supabase anon", "supabase no key", "supabase only key", "supabase wrong key"
FILE, SQLITE, EMPTY = "file", "sqlite", "empty"

# By upstream's order. (type, what is set, the backend, whether something could not be used)
CONFIGURATIONS = [
    (None, (), "memory", False),
    (None, (EMPTY,), "memory", False),
    (None, (REDIS,), "redis", False),
    (None, (FILE,), "file", False),
    (None, (SQLITE,), "sqlite", False),
    (None, (SUPABASE,), "supabase", False),
    (None, (ANON,), "supabase", False),
    (None, (NO_KEY,), "memory", False),
    (None, (ONLY_KEY,), "memory", False),
    (None, (REDIS, FILE, SQLITE, SUPABASE), "redis", False),
    (None, (FILE, SQLITE, SUPABASE), "file", False),
    (None, (SQLITE, SUPABASE), "sqlite", False),
    (None, (REDIS_DOWN,), "memory", True),
    (None, (REDIS_WRONG,), "memory", True),
    (None, (REDIS_DOWN, FILE), "file", True),
    (None, (REDIS_DOWN, SQLITE), "sqlite", True),
    (None, (REDIS_DOWN, SUPABASE), "supabase", True),
    (None, (REDIS_DOWN, SUPABASE_DOWN), "memory", True),
    (None, (SUPABASE_DOWN,), "memory", True),
    (None, (SUPABASE_BARE,), "memory", True),
    (None, (WRONG_KEY,), "memory", True),
    ("memory", (), "memory", False),
    ("memory", (REDIS, FILE, SQLITE, SUPABASE), "memory", False),
    ("redis", (REDIS,), "redis", False),
    ("redis", (REDIS, FILE), "redis", False),
    ("redis", (), "memory", True),
    ("redis", (FILE,), "memory", True),
    ("redis", (REDIS_DOWN,), "memory", True),
    ("redis", (REDIS_DOWN, FILE), "memory", True),
    ("file", (), "file", False),
    ("file", (REDIS, FILE), "file", False),
    ("sqlite", (), "sqlite", False),
    ("sqlite", (REDIS, SQLITE), "sqlite", False),
    ("supabase", (SUPABASE,), "supabase", False),
    ("supabase", (REDIS, SUPABASE), "supabase", False),
    ("supabase", (ANON,), "supabase", False),
    ("supabase", (), "memory", True),
    ("supabase", (NO_KEY,), "memory", True),
    ("supabase", (REDIS,), "redis", True),
    ("supabase", (FILE,), "file", True),
    ("supabase", (SUPABASE_DOWN,), "memory", True),
    ("supabase", (SUPABASE_DOWN, FILE), "memory", True),
    ("supabase", (SUPABASE_BARE,), "memory", True),
    ("SUPABASE", (SUPABASE,), "supabase", False),
    (" File ", (), "file", False),
    ("postgres", (), "memory", True),
    ("postgres", (SQLITE,), "sqlite", True),
]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """By what a configuration names: the variables that say so. Servers are real; those that are down are not there."""
    folder = tmp_path_factory.mktemp("stores")
    nowhere = "http://127.0.0.1:9"
    with asyncio.Runner() as runner, native.start() as server:
        redis = redis_server(environ={"PATH": os.environ["PATH"]})
        redis_url = runner.run(redis.__aenter__()).url
        stack, bare = server.store(), server.store(migrated=False)
        service, anon = str(stack.service_role_key), str(stack.anon_key)
        yield {
            REDIS: {"REDIS_URL": redis_url},
            REDIS_DOWN: {"REDIS_URL": "redis://:the-password@127.0.0.1:9"},
            REDIS_WRONG: {"REDIS_URL": "reddis://:the-password@127.0.0.1:9"},
            FILE: {"MCP_TS_STORAGE_FILE": str(folder / "given.json")},
            SQLITE: {"MCP_TS_STORAGE_SQLITE_PATH": str(folder / "given.db")},
            SUPABASE: {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": service, "SUPABASE_ANON_KEY": anon},
            SUPABASE_DOWN: {"SUPABASE_URL": nowhere, "SUPABASE_SERVICE_ROLE_KEY": service},
            SUPABASE_BARE: {"SUPABASE_URL": bare.url, "SUPABASE_SERVICE_ROLE_KEY": service},
            ANON: {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": "", "SUPABASE_ANON_KEY": anon},
            WRONG_KEY: {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": "key\nof two lines"},
            NO_KEY: {"SUPABASE_URL": stack.url},
            ONLY_KEY: {"SUPABASE_SERVICE_ROLE_KEY": service},
            EMPTY: {
                "MCP_TS_STORAGE_TYPE": "",
                "REDIS_URL": "",
                "MCP_TS_STORAGE_FILE": "",
                "STORAGE_ENCRYPTION_KEY": "",
            },
        }
        runner.run(redis.__aexit__(None, None, None))


def environ_of(variables: dict[str, dict[str, str]], type_: str | None, names: tuple[str, ...]) -> dict[str, str]:
    environ = {} if type_ is None else {"MCP_TS_STORAGE_TYPE": type_}
    for name in names:
        environ |= variables[name]
    return environ


@pytest.mark.parametrize(("type_", "names", "expected", "failed"), CONFIGURATIONS)
def test_an_environment_leads_to_a_backend(
    variables: dict[str, dict[str, str]],
    type_: str | None,
    names: tuple[str, ...],
    expected: str,
    failed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "reference_backends")
    environ = environ_of(variables, type_, names)

    async def choose(**more: str) -> StorageBackend:
        backend = await create_storage(environ | more)
        assert type(backend).__name__ == CLASSES[expected]
        assert await backend.get_identity_mcp_sessions("nobody-yet") == []
        await backend.disconnect()
        return backend

    asyncio.run(choose())
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(errors) is failed
    assert any("FALLING BACK TO MEMORY" in error for error in errors) is (failed and expected == "memory")
    assert "the-password" not in caplog.text
    if failed:
        with pytest.raises(StorageError):
            asyncio.run(choose(MCP_TS_STORAGE_STRICT="1"))
    else:
        asyncio.run(choose(MCP_TS_STORAGE_STRICT="1"))
        assert repr(expected) in caplog.text


@pytest.mark.parametrize(
    ("type_", "names", "error"),
    [
        ("redis", (), ConfigurationError),
        ("redis", (REDIS_DOWN,), StorageUnavailableError),
        (None, (REDIS_WRONG,), ConfigurationError),
        ("supabase", (NO_KEY,), ConfigurationError),
        ("supabase", (SUPABASE_DOWN,), StorageUnavailableError),
        ("supabase", (SUPABASE_BARE,), StorageSetupError),
        ("supabase", (WRONG_KEY,), ConfigurationError),
        ("postgres", (), ConfigurationError),
    ],
)
def test_strict_raises_the_error_itself(
    variables: dict[str, dict[str, str]], type_: str | None, names: tuple[str, ...], error: type[StorageError]
) -> None:
    environ = environ_of(variables, type_, names) | {"MCP_TS_STORAGE_STRICT": "1"}
    with pytest.raises(StorageError) as raised:
        asyncio.run(create_storage(environ))
    assert type(raised.value) is error
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_a_damaged_file_is_an_error_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "sessions.json").write_text("no JSON")
    for type_ in ("", "file"):
        environ = {"MCP_TS_STORAGE_TYPE": type_, "MCP_TS_STORAGE_FILE": str(tmp_path / "sessions.json")}
        with pytest.raises(StorageSetupError):
            asyncio.run(create_storage(environ))


@pytest.mark.parametrize("name", ["file", "sqlite"])
def test_the_stores_on_disk_have_a_place_by_default(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def check() -> None:
        backend = await create_storage({"MCP_TS_STORAGE_TYPE": name})
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(check())
    assert (tmp_path / {"file": "sessions.json", "sqlite": "sessions.db"}[name]).exists()


def test_the_anon_key_is_warned_of(variables: dict[str, dict[str, str]], caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        await (await create_storage(variables[ANON] | {"STORAGE_ENCRYPTION_KEY": KEY})).disconnect()

    asyncio.run(check())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "SUPABASE_ANON_KEY" in warning


def test_several_keys_rotate(tmp_path: Path) -> None:
    environ = {"MCP_TS_STORAGE_FILE": str(tmp_path / "sessions.json")}

    async def check() -> None:
        first = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": KEY})
        await first.create_session(session())
        await first.disconnect()
        rotated = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": f"{OTHER_KEY}, {KEY}"})
        assert await rotated.get_session("alice", "s1") == session()
        await rotated.create_session(session("s2"))
        await rotated.disconnect()
        second = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": OTHER_KEY})
        assert await second.get_session("alice", "s2") == session("s2")
        await second.disconnect()

    asyncio.run(check())


@pytest.mark.parametrize("keys", ["short", "zz" * 32, f"{KEY},", f",{KEY}", f"{KEY},bad", " ", KEY + KEY])
@pytest.mark.parametrize("type_", ["", "memory", "redis", "supabase", "file"])
def test_a_bad_key_is_refused_before_anything_is_chosen(
    keys: str, type_: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"MCP_TS_STORAGE_TYPE": type_, "MCP_TS_STORAGE_FILE": str(tmp_path / "sessions.json")}
    with pytest.raises(ConfigurationError) as raised:
        asyncio.run(create_storage(environ | {"STORAGE_ENCRYPTION_KEY": keys}))
    assert not keys.strip() or keys not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == []


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    return SessionData(
        session_id=session_id,
        identity=identity,
        server_url="https://mcp.example",
        transport_type="sse",
        callback_url="https://app.example/callback",
        created_at=0,
        tokens={"access_token": "t"},
        **fields,
    )


def test_a_project_of_its_own_opens_again(variables: dict[str, dict[str, str]]) -> None:
    async def check() -> None:
        backend = await create_storage(variables[SUPABASE])
        await backend.create_session(session("again"))
        await backend.disconnect()
        await backend.disconnect()
        with pytest.raises(StorageError, match="init"):
            await backend.get_session("alice", "again")
        await backend.init()
        assert await backend.get_session("alice", "again") == session("again")
        await backend.disconnect()

    asyncio.run(check())


# The ready-made object


@pytest.mark.parametrize("names", [(), (REDIS,), (FILE,), (SQLITE,), (SUPABASE,)], ids=str)
def test_it_works_from_several_loops_and_threads(variables: dict[str, dict[str, str]], names: tuple[str, ...]) -> None:
    """Loops one after another, and loops on threads at once: one choice, one store."""
    chosen = []

    async def choose() -> StorageBackend:
        chosen.append(await create_storage(environ_of(variables, None, names)))
        return chosen[-1]

    storage = ReadyMadeStorage(choose)
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

    storage = ReadyMadeStorage(choose)
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

    storage = ReadyMadeStorage(choose)
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
        task = asyncio.create_task(ReadyMadeStorage(choose).get_all_session_ids())
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


@pytest.mark.parametrize("names", [(REDIS,), (SQLITE,), (SUPABASE,)], ids=str)
@pytest.mark.parametrize("how", ["plain", "fork"])
def test_a_process_ends_quietly_and_its_child_chooses_for_itself(
    variables: dict[str, dict[str, str]], names: tuple[str, ...], how: str
) -> None:
    """The interpreter ends with the store still open: nothing is said of it, and nothing hangs."""
    identity = f"{how} on {names[0]}"
    environ = {"PATH": os.environ["PATH"], "STORAGE_ENCRYPTION_KEY": KEY, "MCP_TS_STORAGE_STRICT": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, how, identity],
        env=environ | environ_of(variables, None, names),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    created = ["child", "parent"] if how == "fork" else ["parent"]
    assert run.stdout.strip() == str([f"{name} of {identity}" for name in created])


FAREWELL = """
import asyncio, os, weakref
from reference_backends import MemoryStorageBackend
from reference_backends.ready_made import ReadyMadeStorage

class Backend(MemoryStorageBackend):
    async def disconnect(self):
        print("farewell", flush=True)

chosen = []

async def choose():
    backend = Backend(encryption_key="00" * 32)
    await backend.init()
    chosen.append(weakref.ref(backend))
    return backend

storage = ReadyMadeStorage(choose)
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


def test_the_backend_is_let_go_of_at_the_end_and_only_then() -> None:
    run = subprocess.run([sys.executable, "-c", FAREWELL], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr == ""
    assert run.stdout.split() == ["ending", "farewell"]
