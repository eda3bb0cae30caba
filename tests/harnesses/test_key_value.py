"""``key-value:MODULE:FACTORY``: the adapter is conformant on a correct store, and a defect of the store shows."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore

from pytest_mcp_storage import Capability, judge_sync
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.harnesses.key_value import KeyValueHarness
from pytest_mcp_storage.harnesses.key_value_backend import KeyValueBackend
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.session.loading import BackendNameError
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import SessionData, SqliteStorageBackend, StorageError
from reference_backends.key_value import SessionKeyValue

SOME = ["RT-1", "RT-6", "LC-1", "LC-3", "LC-5", "LC-8", "LC-10", "LC-11", "LC-12", "ID-1", "ID-3", "ID-7", "EX-2",
        "EX-5", "DU-1", "CO-1", "CO-4", "CO-6", "CA-1", "CA-3", "HA-1"]  # fmt: skip
PLACES: dict[str, dict[Any, tuple[str, float]]] = {}


class Plain:
    """A correct key-value store: nothing is awaited while an entry changes."""

    def __init__(self, place: object) -> None:
        self.entries = PLACES.setdefault(str(place), {})

    def name(self, collection: str | None, key: str) -> Any:
        return collection, key

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        text, end = self.entries.get(self.name(collection, key), ("null", 0.0))
        value: dict[str, Any] = json.loads(text)
        return value if time.time() < end else None

    async def get_many(self, keys: Iterable[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        return [await self.get(key, collection=collection) for key in keys]

    async def put(self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None) -> None:
        end = time.time() + (float("inf") if ttl is None else ttl)
        self.entries[self.name(collection, key)] = json.dumps(value), end

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        return self.entries.pop(self.name(collection, key), None) is not None


class Endless(Plain):
    async def put(self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None) -> None:
        await super().put(key, value, collection=collection)


class Joined(Plain):
    def name(self, collection: str | None, key: str) -> Any:
        return f"{collection}/{key}"


def sqlite(folder: Path) -> SessionKeyValue:
    return SessionKeyValue(SqliteStorageBackend(folder / "sessions.db"))


async def memory() -> MemoryStore:
    return MemoryStore()


def failed(factory: Callable[..., Any], clauses: list[str]) -> list[str]:
    judged = judge_sync(KeyValueHarness.of(factory), tier="smoke", clauses=clauses, seed=0)
    assert not [row.fault for row in judged.clauses if row.fault]
    return [row.id for row in judged.clauses if row.outcome.value == "failed"]


def test_the_adapter_is_conformant_on_a_correct_store() -> None:
    assert failed(Plain, SOME) == []


@pytest.mark.verdicts
def test_a_store_of_ours_is_conformant_through_both_adapters() -> None:
    assert failed(sqlite, ["RT-1", "LC-3", "LC-8", "ID-1", "DU-1", "CO-4"]) == []


@pytest.mark.parametrize(("factory", "clause"), [(Endless, "EX-2"), (Joined, "ID-3")])
def test_a_defect_of_the_store_shows(factory: Callable[..., Any], clause: str) -> None:
    assert failed(factory, [clause]) == [clause]


# -- the harness -----------------------------------------------------------------------------------------------------


async def test_a_store_of_one_handle_is_neither_durable_nor_shared() -> None:
    async with KeyValueHarness.of(memory)() as harness:
        assert harness.capabilities == {Capability.DEFAULT_TTL}
        assert harness.make is MemoryStore
        backend = await harness.open()
        await backend.disconnect()
    async with KeyValueHarness.of(Plain)() as harness:
        assert harness.capabilities == {Capability.DEFAULT_TTL, Capability.DURABLE, Capability.SHARED}


async def test_a_store_that_allows_one_object_at_a_time_is_durable_and_not_shared() -> None:
    class Exclusive(Plain):
        users = 0

        def __init__(self, folder: Path) -> None:
            if Exclusive.users:
                raise OSError("lock held by the current process")
            Exclusive.users += 1
            super().__init__(folder)

        async def close(self) -> None:
            Exclusive.users -= 1

    async with KeyValueHarness.of(Exclusive)() as harness:
        assert harness.capabilities == {Capability.DEFAULT_TTL, Capability.DURABLE}


@pytest.fixture
def redis_url() -> Iterator[str]:
    loop = SuiteLoop()
    server = redis_server(appendfsync="no")
    yield loop.run(server.__aenter__()).url
    loop.run(server.__aexit__(None, None, None))
    loop.close()


async def test_data_of_others_on_a_shared_server_is_left_alone(redis_url: str) -> None:
    def redis() -> RedisStore:
        return RedisStore(url=redis_url)

    async with redis() as others:
        await others.put("k", {"n": 1}, collection="theirs")
        async with KeyValueHarness.of(redis)() as harness:
            backend = await harness.open()
            for number in range(20):
                await backend.create_session(session(f"s{number}", f"user{number % 3}"))
            assert len(await backend.get_all_session_ids()) == 20
            await backend.disconnect()
        assert await others.keys("theirs") == ["k"]
        assert len([key async for key in others._client.scan_iter()]) == 1


def session(session_id: str, identity: str = "me") -> SessionData:
    return SessionData(session_id=session_id, identity=identity, server_url="", transport_type="sse", callback_url="",
                       created_at=0)  # fmt: skip


async def test_nothing_is_left_of_sessions_that_are_gone() -> None:
    async with KeyValueHarness.of(Plain)() as harness:
        backend = await harness.open()
        entries = Plain(harness._folder).entries

        def names() -> list[int]:
            return sorted(len(json.loads(text)["names"]) for text, _ in entries.values() if "names" in text)

        for number in range(10):
            await backend.create_session(session(f"s{number}"), ttl=0.2 if number % 2 else 60)
        for identity in ("another", "third"):
            await backend.create_session(session("s", identity), ttl=0.2)
        assert names() == [1, 1, 3, 10]
        await asyncio.sleep(0.3)
        await backend.cleanup_expired_sessions()
        assert sorted(await backend.get_identity_mcp_sessions("me")) == [f"s{number}" for number in range(0, 10, 2)]
        assert names() == [1, 5]
        await backend.clear_all()
        assert names() == []
        await backend.create_session(session("s"))
        await backend.remove_session("me", "s")
        await backend.remove_session("me", "s")
        assert names() == []
        await backend.disconnect()
        with pytest.raises(StorageError):
            await backend.get_session("me", "s1")


def no_store() -> dict[str, int]:
    return {}


async def test_a_factory_that_returns_no_store() -> None:
    with pytest.raises(
        TypeError, match=r"the factory returned dict, which is no py-key-value store: it has no get_many"
    ):
        await KeyValueHarness.of(no_store)().__aenter__()
    assert isinstance(await KeyValueHarness.of(memory)().open(), KeyValueBackend)


def test_a_name_leads_to_the_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kv_factories.py").write_text("def two(a, b): ...\ndef one(folder): ...\nnone = 3\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert isinstance(resolve("key-value:kv_factories:one", tmp_path)(), KeyValueHarness)
    for name, message in {
        "key-value:kv_factories:two": "takes a folder or nothing, not a, b",
        "key-value:kv_factories:none": "is not a callable object",
        "key-value:kv_factories:other": "has no attribute 'other'",
        "key-value:": "is no module:attribute",
    }.items():
        with pytest.raises(BackendNameError, match=message):
            resolve(name, tmp_path)
    monkeypatch.setitem(sys.modules, "key_value", None)
    with pytest.raises(BackendNameError, match=r"pip install 'pytest-mcp-storage\[key-value\]'"):
        resolve("key-value:kv_factories:one", tmp_path)()
