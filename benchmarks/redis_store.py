"""The Redis store against plain redis-py and ``py-key-value-aio``: ``python benchmarks/redis_store.py``.

Needs the extra ``bench``. One server serves both sides alternately. Plain redis-py sends the same scripts, and encodes
and decodes as the store does, without its checks. ``py-key-value-aio`` keeps a session as one JSON text: its update is
a get and a put, its listing a SCAN and an MGET. It returns dictionaries; the store returns validated sessions.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

from key_value.aio.stores.redis import RedisStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper
from paired import Pair, paired, report
from redis.asyncio import Redis
from sample import session

from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import Keyring, RedisStorageBackend, SessionData
from reference_backends.core.record import RecordCodec
from reference_backends.redis import layout, scripts

STORED = 1000
"""The number of sessions of one identity in each store while it is measured."""

TTL = 43200.0
KEY = "5e" * 32
NOW, EXPIRY, BOUND = 1_800_000_000_000, 4_800_000_000_000, 4_800_003_600_000
CHANGES: Any = {"tokens": {"access_token": "b" * 180, "token_type": "Bearer"}, "server_name": "Renamed"}


IDS = [f"session{number}" for number in range(STORED)]
SESSIONS = [session(name) for name in IDS]


class Ours:
    """The store, with the four operations."""

    def __init__(self, backend: RedisStorageBackend) -> None:
        self.backend = backend
        self.fresh = (session(f"ours{number}") for number in count())

    async def fill(self) -> None:
        await self.backend.init()
        for each in SESSIONS:
            await self.backend.create_session(each)

    async def get(self, number: int) -> object:
        return await self.backend.get_session("alice", IDS[number % STORED])

    async def create(self, number: int) -> None:
        await self.backend.create_session(next(self.fresh).model_copy(update={"identity": "bob"}))

    async def update(self, number: int) -> None:
        await self.backend.update_session("alice", IDS[number % STORED], CHANGES)

    async def list(self, number: int) -> object:
        return await self.backend.get_identity_sessions_data("alice")


class Plain:
    """The same commands with redis-py's calls, and the same decoding."""

    def __init__(self, client: Redis, keyring: Keyring | None, how: str) -> None:
        self.client = client
        self.codec = RecordCodec(keyring)
        self.keys = layout.Keys(f"plain-{how}")
        self.fresh = (session(f"plain{number}") for number in count())

    async def fill(self) -> None:
        for script in (scripts.CREATE, scripts.UPDATE, scripts.READ, scripts.LIST):
            await self.client.script_load(script.source)  # type: ignore[arg-type]
        for each in SESSIONS:
            await self._create("alice", each)

    async def get(self, number: int) -> object:
        name = IDS[number % STORED]
        member = layout.member(name)
        packed = await self._run(scripts.READ, [self.keys.session("alice", member)], member)
        return self.codec.session(layout.record("alice", *layout.unpack(packed)))

    async def create(self, number: int) -> None:
        await self._create("bob", next(self.fresh))

    async def update(self, number: int) -> None:
        member = layout.member(IDS[number % STORED])
        keys = [self.keys.session("alice", member), self.keys.index("alice")]
        fields = layout.fields(self.codec.seal_clear(dict(CHANGES)))
        await self._run(scripts.UPDATE, keys, NOW, EXPIRY, BOUND, member, int(self.codec.seals), 0, *fields)

    async def list(self, number: int) -> object:
        rows = await self._run(scripts.LIST, [self.keys.index("alice")], NOW)
        return [self.codec.session(layout.record("alice", *layout.unpack(row))) for row in rows]

    async def _create(self, identity: str, each: SessionData) -> None:
        member = layout.member(each.session_id)
        keys = [self.keys.session(identity, member), self.keys.index(identity)]
        fields = layout.fields(self.codec.record(each))
        if self.codec.seals:
            fields += (layout.SEALED, b"1")
        await self._run(scripts.CREATE, keys, NOW, EXPIRY, BOUND, member, *fields)

    async def _run(self, script: scripts.Script, keys: list[bytes], *arguments: Any) -> Any:
        return await self.client.evalsha(script.digest.decode(), len(keys), *keys, *arguments)  # type: ignore[arg-type]


class KeyValue:
    """``py-key-value-aio``, with one collection per identity."""

    def __init__(self, store: Any, inner: RedisStore) -> None:
        self.store = store
        self.inner = inner
        self.fresh = (session(f"kv{number}") for number in count())

    async def fill(self) -> None:
        for each in SESSIONS:
            await self.store.put(each.session_id, each.model_dump(exclude_none=True), collection="alice", ttl=TTL)

    async def get(self, number: int) -> object:
        return await self.store.get(IDS[number % STORED], collection="alice")

    async def create(self, number: int) -> None:
        each = next(self.fresh)
        await self.store.put(each.session_id, each.model_dump(exclude_none=True), collection="bob", ttl=TTL)

    async def update(self, number: int) -> None:
        name = IDS[number % STORED]
        held = await self.store.get(name, collection="alice")
        await self.store.put(name, held | CHANGES, collection="alice", ttl=TTL)

    async def list(self, number: int) -> object:
        return await self.store.get_many(await self.inner.keys(collection="alice", limit=STORED), collection="alice")


async def compare(title: str, ours: Ours, theirs: Plain | KeyValue, bar: float) -> list[Pair]:
    pairs = []
    for callers in (1, 16):
        for kind, chunk, rounds in (("get", 64, 40), ("create", 64, 40), ("update", 64, 40), ("list", callers, 10)):
            what = f"{kind}{' of 1,000' if kind == 'list' else ''}, {callers} caller{'s' if callers > 1 else ''}"
            mine, other = getattr(ours, kind), getattr(theirs, kind)
            pairs.append(
                await paired(f"{title}: {what}", mine, other, bar=bar, callers=callers, chunk=chunk, rounds=rounds)
            )
            print(pairs[-1], flush=True)
    return pairs


async def main() -> int:
    logging.disable(logging.WARNING)
    pairs: list[Pair] = []
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server(settings={"appendonly": "no"}))
        print(f"{server.program}; both sides on the same server, ratio: how many times as fast as theirs", flush=True)

        def client(**options: Any) -> Redis:
            made = Redis.from_url(server.url, **options)
            stack.push_async_callback(made.aclose)
            return made

        for how, key in (("plain", None), ("encrypted", KEY)):
            ours = Ours(RedisStorageBackend(client(), prefix=f"ours-{how}", encryption_key=key))
            stack.push_async_callback(ours.backend.disconnect)
            plain = Plain(client(), Keyring(key) if key else None, how)
            inner = RedisStore(client=client(decode_responses=True))
            sealed = FernetEncryptionWrapper(inner, source_material=KEY, salt="s" * 16)
            key_value = KeyValue(sealed if key else inner, inner)
            for side in (ours, plain, key_value):
                await side.fill()
            pairs += await compare(f"{how}, against redis-py", ours, plain, 0.85)
            pairs += await compare(f"{how}, against py-key-value-aio", ours, key_value, 1)
    return report(pairs)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
