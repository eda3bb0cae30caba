"""``SessionKeyValue``: py-key-value's store on ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.errors import (
    DeserializationError,
    InvalidTTLError,
    KeyValueStoreError,
    SerializationError,
    StoreConnectionError,
    StoreSetupError,
)
from key_value.aio.protocols.key_value import AsyncCullProtocol, AsyncKeyValue

from pytest_mcp_storage.harnesses.redis import RedisHarness
from reference_backends import MemoryStorageBackend, SessionData, SqliteStorageBackend
from reference_backends.key_value import SessionKeyValue

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
DEEP: dict[str, Any] = {}
for _ in range(200):
    DEEP = {"in": [DEEP]}
VALUES: dict[str, dict[str, Any]] = {
    "empty": {},
    "beyond doubles": {"id": 2**80, "small": -(2**63), "float": 1e300},
    "deep": DEEP,
    "any text": {"nul": "\0", "surrogate": "\ud800", "sealed": "enc:1:x", "emoji": "🔑", "": ""},
    "order": {"b": 1, "a": [None, True, 0.1]},
}


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionKeyValue]:
    if request.param == "redis":
        async with RedisHarness() as harness:
            opened = await harness.open(encryption_key=KEY)
            yield SessionKeyValue(opened)
            await opened.disconnect()
        return
    memory = request.param == "memory"
    backend = MemoryStorageBackend() if memory else SqliteStorageBackend(tmp_path / "s.db", encryption_key=KEY)
    yield SessionKeyValue(backend)
    await backend.disconnect()


def test_it_is_what_py_key_value_asks_for() -> None:
    store = SessionKeyValue(MemoryStorageBackend())
    assert isinstance(store, AsyncKeyValue)
    assert isinstance(store, AsyncCullProtocol)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_any_value_survives_and_can_be_replaced(store: SessionKeyValue, value: dict[str, Any]) -> None:
    await store.put("k", value)
    assert await store.get("k") == value
    assert list(await store.get("k") or {}) == list(value)
    await store.put("k", {"other": 1})
    assert await store.ttl("k") == ({"other": 1}, None)


async def test_names_never_meet(store: SessionKeyValue) -> None:
    names = [(None, "k"), ("c", "k"), ("k", "c"), ("c:k", ""), ("c", ":k"), ("C", "k"), ("c" * 2000, "\0/../\ud800")]
    for number, (collection, key) in enumerate(names):
        await store.put(key, {"n": number}, collection=collection)
    found = [await store.get(key, collection=collection) for collection, key in names]
    assert found == [{"n": number} for number in range(len(names))]
    assert await store.get("k", collection="default_collection") == {"n": 0}
    assert [await store.delete(key, collection=collection) for collection, key in names] == [True] * len(names)
    assert [await store.delete(key, collection=collection) for collection, key in names] == [False] * len(names)


async def test_many_at_once(store: SessionKeyValue) -> None:
    await store.put_many(["a", "b"], [{"n": 1}, {"n": 2}], collection="c", ttl=90)
    assert await store.get_many(["b", "missing", "a"], collection="c") == [{"n": 2}, None, {"n": 1}]
    (value, left), nothing = await store.ttl_many(["a", "missing"], collection="c")
    assert (value, nothing) == ({"n": 1}, (None, None))
    assert left is not None
    assert 80 < left <= 90
    assert await store.delete_many(["a", "b", "missing"], collection="c") == 2


async def test_a_value_ends_with_its_ttl() -> None:
    now = Now()
    store = SessionKeyValue(MemoryStorageBackend(clock=now), clock=now)
    await store.put("short", {"n": 1}, ttl=10.5)
    await store.put("endless", {"n": 2})
    await store.put("longest", {"n": 3}, ttl=10**12)
    now.seconds += 10
    assert await store.ttl("short") == ({"n": 1}, 0.5)
    now.seconds += 0.5
    assert await store.ttl("short") == (None, None)
    assert not await store.delete("short")
    await store.put("short", {"n": 4})
    now.seconds += 99 * 365 * 86400
    assert await store.get_many(["short", "endless", "longest"]) == [{"n": 4}, {"n": 2}, {"n": 3}]


async def test_what_can_not_be_stored(store: SessionKeyValue) -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    for value in ({"x": object()}, {"x": {1, 2}}, {1: "x"}, [1], cycle, {"x": 10**5000}):
        with pytest.raises(SerializationError):
            await store.put_many(["first", "k"], [{"fine": 1}, value])  # type: ignore[list-item]
    for ttl in (0, -1, True, float("nan"), float("inf"), "soon"):
        with pytest.raises(InvalidTTLError):
            await store.put("first", {"fine": 1}, ttl=ttl)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="as many values as keys"):
        await store.put_many(["first"], [])
    assert await store.get("first") is None


async def test_puts_and_deletes_of_one_key_at_once(store: SessionKeyValue) -> None:
    async def caller(number: int) -> None:
        for _ in range(5):
            await store.put("k", {"n": number})
            assert await store.get("k") != {}
            if number % 3 == 0:
                await store.delete("k")

    await asyncio.gather(*(caller(number) for number in range(6)))
    await store.put("k", {"n": "last"})
    assert await store.get("k") == {"n": "last"}


async def test_it_outlives_a_restart_and_shows_nothing_in_the_file(tmp_path: Path) -> None:
    async def opened(key: str) -> SessionKeyValue:
        return SessionKeyValue(SqliteStorageBackend(tmp_path / "s.db", encryption_key=key))

    store = await opened(KEY)
    await store.put("the-code-4711", {"token": "s3cret-token"}, collection="the-codes")
    await store.storage.disconnect()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [word for word in (b"4711", b"s3cret", b"the-codes") if word in content]
    store = await opened(OTHER_KEY)
    with pytest.raises(DeserializationError, match="cannot be decrypted"):
        await store.get("the-code-4711", collection="the-codes")
    await store.storage.disconnect()
    store = await opened(KEY)
    assert await store.get("the-code-4711", collection="the-codes") == {"token": "s3cret-token"}
    await store.storage.disconnect()
    store = await opened(OTHER_KEY)
    assert await store.delete("the-code-4711", collection="the-codes")
    assert await store.get("the-code-4711", collection="the-codes") is None
    await store.storage.disconnect()


async def test_an_identity_of_the_callers() -> None:
    backend = MemoryStorageBackend()
    alice, bob = (SessionKeyValue(backend, identity=name) for name in ("alice", "bob"))
    await alice.put("k", {"n": 1})
    assert await bob.get("k") is None
    assert len(await backend.get_identity_mcp_sessions("alice")) == 1
    await alice.cull()


async def test_the_errors_are_py_key_values(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreSetupError):
        await SessionKeyValue(SqliteStorageBackend(tmp_path / "s.db")).get("k")
    async with RedisHarness() as harness:
        backend = await harness.open()
        store = SessionKeyValue(backend)
        await store.put("k", {"n": 1})
        async with harness.outage():
            with pytest.raises(StoreConnectionError):
                await store.get("k")
        assert await store.get("k") == {"n": 1}
        await backend.disconnect()
        with pytest.raises(KeyValueStoreError, match="not open"):
            await store.put("k", {"n": 1})


async def test_a_session_that_is_no_entry_is_reported() -> None:
    backend = MemoryStorageBackend()
    store = SessionKeyValue(backend, identity="me")
    await store.put("k", {"n": 1})
    (session_id,) = await backend.get_identity_mcp_sessions("me")
    for tokens in (None, {"value": "{"}, {"value": 3, "expires_at": None}):
        await backend.update_session("me", session_id, {"tokens": tokens})
        with pytest.raises(DeserializationError, match="does not hold an entry"):
            await store.get("k")
    assert isinstance(await backend.get_session("me", session_id), SessionData)


def test_the_library_does_not_load_py_key_value() -> None:
    program = "import sys, reference_backends as r; r.SqliteStorageBackend; assert 'key_value' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
