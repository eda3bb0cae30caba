"""The backend that an environment selects: a table of configurations, with upstream's results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reference_backends import (
    ConfigurationError,
    StorageBackend,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
    create_storage,
)

Environ = Callable[..., dict[str, str]]

KEY = "00112233445566778899aabbccddeeff" * 2
CLASSES = {
    "redis": "RedisStorageBackend",
    "file": "FileStorageBackend",
    "sqlite": "SqliteStorageBackend",
    "supabase": "SupabaseProjectBackend",
    "memory": "MemoryStorageBackend",
}

# The backend that each part of a configuration selects.
REDIS, REDIS_DOWN, REDIS_WRONG = "redis", "redis down", "redis wrong"
SUPABASE, SUPABASE_DOWN, SUPABASE_BARE = "supabase", "supabase down", "supabase bare"
ANON, NO_KEY, ONLY_KEY, WRONG_KEY = "supabase anon", "supabase no key", "supabase only key", "supabase wrong key"
SECRET, PUBLISHABLE, STALE = "supabase secret", "supabase publishable", "supabase stale key"
FILE, SQLITE, EMPTY = "file", "sqlite", "empty"

# In upstream's order: type, what is set, the backend, whether something could not be used.
CONFIGURATIONS = [
    (None, (), "memory", False),
    (None, (EMPTY,), "memory", False),
    (None, (REDIS,), "redis", False),
    (None, (FILE,), "file", False),
    (None, (SQLITE,), "sqlite", False),
    (None, (SUPABASE,), "supabase", False),
    (None, (ANON,), "supabase", False),
    (None, (SECRET,), "supabase", False),
    (None, (PUBLISHABLE,), "supabase", False),
    (None, (STALE,), "supabase", False),
    (None, (REDIS, NO_KEY), "redis", False),
    (None, (FILE, NO_KEY), "file", False),
    ("memory", (NO_KEY,), "memory", False),
    ("supabase", (SECRET,), "supabase", False),
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


@pytest.mark.parametrize(("type_", "names", "expected", "failed"), CONFIGURATIONS)
def test_an_environment_leads_to_a_backend(
    environ_of: Environ,
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
    environ = environ_of(type_, *names)

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
    if failed or (expected == "memory" and type_ != "memory"):
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
    environ_of: Environ, type_: str | None, names: tuple[str, ...], error: type[StorageError]
) -> None:
    environ = environ_of(type_, *names) | {"MCP_TS_STORAGE_STRICT": "1"}
    with pytest.raises(StorageError) as raised:
        asyncio.run(create_storage(environ))
    assert type(raised.value) is error
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("strict", ["", "1"])
@pytest.mark.parametrize(
    ("type_", "names"),
    [(None, ()), (None, (REDIS_DOWN,)), ("supabase", ()), ("supabase", (REDIS,)), ("postgres", ())],
)
def test_a_supabase_url_without_a_key_is_an_error_in_every_mode(
    environ_of: Environ, type_: str | None, names: tuple[str, ...], strict: str
) -> None:
    environ = environ_of(type_, *names, NO_KEY) | {"SUPABASE_SERVICE_KEY": "misspelt", "SUPABASE_ANON_KEY": " "}
    with pytest.raises(StorageError) as raised:
        asyncio.run(create_storage(environ | {"MCP_TS_STORAGE_STRICT": strict}))
    if not strict or (REDIS_DOWN not in names and type_ != "postgres"):
        assert isinstance(raised.value, ConfigurationError)
        assert "set SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY" in str(raised.value)
        assert "empty: SUPABASE_ANON_KEY; set, but not read: SUPABASE_SERVICE_KEY" in str(raised.value)
        assert "misspelt" not in str(raised.value)


def test_strict_does_not_fall_back_to_memory() -> None:
    for environ in ({}, {"SUPABASE_SECRET_KEY": "k"}, {"REDIS_URL": ""}):
        with pytest.raises(ConfigurationError, match="set MCP_TS_STORAGE_TYPE"):
            asyncio.run(create_storage({**environ, "MCP_TS_STORAGE_STRICT": "1"}))


@pytest.mark.parametrize("answer", ["1", "true", "Yes", " on ", "1\r"])
def test_strict_may_be_asked_for_in_several_words(answer: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        asyncio.run(create_storage({"MCP_TS_STORAGE_STRICT": answer, "MCP_TS_STORAGE_TYPE": "redis"}))


@pytest.mark.parametrize("answer", ["", "0", "False", "no ", "off"])
def test_and_be_declined(answer: str) -> None:
    storage = asyncio.run(create_storage({"MCP_TS_STORAGE_STRICT": answer, "MCP_TS_STORAGE_TYPE": "redis"}))
    assert type(storage).__name__ == CLASSES["memory"]


@pytest.mark.parametrize("answer", ["y", "2", "strict", "ture"])
def test_a_misspelt_yes_is_an_error(answer: str) -> None:
    with pytest.raises(ConfigurationError, match="neither 1 nor 0"):
        asyncio.run(create_storage({"MCP_TS_STORAGE_STRICT": answer}))


def test_a_damaged_file_is_an_error_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "sessions.json").write_text("no JSON")
    for type_ in ("", "file"):
        environ = {"MCP_TS_STORAGE_TYPE": type_, "MCP_TS_STORAGE_FILE": str(tmp_path / "sessions.json")}
        with pytest.raises(StorageSetupError):
            asyncio.run(create_storage(environ))


@pytest.mark.parametrize("name", ["file", "sqlite"])
def test_the_stores_on_disk_have_a_place_by_default(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    async def check() -> None:
        backend = await create_storage({"MCP_TS_STORAGE_TYPE": name})
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(check())
    assert (tmp_path / {"file": "sessions.json", "sqlite": "sessions.db"}[name]).exists()


@pytest.mark.parametrize(("name", "variable"), [(ANON, "SUPABASE_ANON_KEY"), (PUBLISHABLE, "SUPABASE_PUBLISHABLE_KEY")])
def test_a_public_key_is_warned_of(
    environ_of: Environ, caplog: pytest.LogCaptureFixture, key: str, name: str, variable: str
) -> None:
    async def check() -> None:
        await (await create_storage(environ_of(None, name) | {"STORAGE_ENCRYPTION_KEY": key})).disconnect()

    asyncio.run(check())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{variable} is used" in warning


def test_several_keys_rotate(tmp_path: Path, session: Any, key: str, other_key: str) -> None:
    environ = {"MCP_TS_STORAGE_FILE": str(tmp_path / "sessions.json")}

    async def check() -> None:
        first = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": key})
        await first.create_session(session())
        await first.disconnect()
        rotated = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": f"{other_key}, {key}"})
        assert await rotated.get_session("alice", "s1") == session()
        await rotated.create_session(session("s2"))
        await rotated.disconnect()
        second = await create_storage(environ | {"STORAGE_ENCRYPTION_KEY": other_key})
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


def test_a_supabase_store_from_the_environment_opens_again(environ_of: Environ, session: Any) -> None:
    async def check() -> None:
        backend = await create_storage(environ_of(None, SUPABASE))
        await backend.create_session(session("again"))
        await backend.disconnect()
        await backend.disconnect()
        with pytest.raises(StorageError, match="init"):
            await backend.get_session("alice", "again")
        await backend.init()
        assert await backend.get_session("alice", "again") == session("again")
        await backend.disconnect()

    asyncio.run(check())
