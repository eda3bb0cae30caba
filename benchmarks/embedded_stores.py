"""The embedded stores against ``py-key-value-aio`` and plain aiosqlite: ``python benchmarks/embedded_stores.py``.

Needs the extra ``bench``. The stores of this project accept and return a validated ``SessionData``, the others its
dictionary; all set a TTL. ``--folder`` chooses the disk. The time of a commit on it matters, because these stores
answer after the data is durable. In a folder in memory, such as /dev/shm, only the time of the code remains.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiosqlite
from diskcache import Cache  # type: ignore[import-untyped]
from key_value.aio.stores.disk import DiskStore
from key_value.aio.stores.filetree import FileTreeStore
from key_value.aio.stores.memory import MemoryStore
from paired import Pair, paired, report
from sample import session

from reference_backends import FileStorageBackend, MemoryStorageBackend, SqliteStorageBackend

STORED = 100
"""The number of sessions in each store while it is measured."""

TTL = 43200.0


SESSION = session("session0")
VALUE = SESSION.model_dump(exclude_none=True)
IDS = [f"session{number}" for number in range(STORED)]


async def memory() -> list[Pair]:
    ours, theirs = MemoryStorageBackend(), MemoryStore()
    await ours.init()
    await theirs.setup()
    sessions = [session(f"session{number}") for number in range(10_000)]

    async def create(number: int) -> None:
        await ours.create_session(sessions[number], TTL)

    async def put(number: int) -> None:
        await theirs.put(f"alice:session{number}", VALUE, collection="sessions", ttl=TTL)

    creating = await paired("memory: create, against MemoryStore.put", create, put, bar=4, chunk=100)
    for number in range(100):
        await theirs.put(f"alice:read{number}", VALUE, collection="sessions", ttl=TTL)
        await ours.create_session(sessions[number].model_copy(update={"session_id": f"read{number}"}), TTL)

    async def read(number: int) -> None:
        assert await ours.get_session("alice", f"read{number % 100}") is not None

    async def get(number: int) -> None:
        assert await theirs.get(f"alice:read{number % 100}", collection="sessions") is not None

    return [creating, await paired("memory: get, against MemoryStore.get", read, get, bar=4, chunk=100)]


async def on_disk(folder: Path) -> list[Pair]:
    async with AsyncExitStack() as stack:
        file = FileStorageBackend(folder / "sessions.json")
        table = SqliteStorageBackend(folder / "sessions.db")
        for backend in (file, table):
            await backend.init()
            stack.push_async_callback(backend.disconnect)
            await asyncio.gather(*(backend.create_session(session(f"session{number}")) for number in range(STORED)))
        await settle(table)
        (folder / "tree").mkdir()
        tree = FileTreeStore(data_directory=folder / "tree")
        disk = await stack.enter_async_context(DiskStore(directory=folder / "disk"))
        durable = Cache(str(folder / "durable"), eviction_policy="none", sqlite_synchronous=2)
        stack.callback(durable.close)
        durable_disk = await stack.enter_async_context(DiskStore(disk_cache=durable))
        for store in (tree, disk, durable_disk):
            for session_id in IDS:
                await store.put(session_id, VALUE, collection="sessions", ttl=TTL)

        def update(backend: Any) -> Any:
            return lambda number: backend.update_session(
                "alice", IDS[number % STORED], {"tokens": SESSION.tokens, "server_name": f"n{number}"}
            )

        def put(store: Any) -> Any:
            return lambda number: store.put(
                IDS[number % STORED], VALUE | {"server_name": f"n{number}"}, collection="sessions", ttl=TTL
            )

        pairs = []
        for callers in (1, 16):
            who = f"{callers} caller{'s' if callers > 1 else ''}"
            options: Any = {"callers": callers, "chunk": 10 * callers if callers > 1 else 20}
            for title, ours, theirs, bar in (
                ("file: update, against FileTreeStore.put", file, tree, 1),
                ("sqlite: update, against DiskStore.put (no commit synced)", table, disk, 1),
                ("sqlite: update, against DiskStore.put, synchronous FULL", table, durable_disk, None),
            ):
                pairs.append(await paired(f"{title}, {who}", update(ours), put(theirs), bar=bar, **options))
                print(pairs[-1], flush=True)
        return pairs


async def settle(table: SqliteStorageBackend) -> None:
    """Write until the log has its full length: from then on it is overwritten, as in a store that is in use."""
    for number in range(50):
        await asyncio.gather(
            *(table.update_session("alice", session_id, {"server_name": f"n{number}"}) for session_id in IDS)
        )


class PlainRows:
    """The same update with aiosqlite: select, change, update, commit.

    A lock lets one caller in at a time: otherwise callers share a transaction, commit each other's incomplete work, and
    lose updates.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def fill(self) -> None:
        await self._connection.execute(
            "CREATE TABLE sessions (id TEXT PRIMARY KEY, identity TEXT, data TEXT, expires INTEGER)"
        )
        for session_id in IDS:
            await self._connection.execute(
                "INSERT INTO sessions VALUES (?, 'alice', ?, 0)", (session_id, json.dumps(VALUE))
            )
        await self._connection.commit()

    async def update(self, number: int) -> None:
        async with self._turn:
            await self._update(IDS[number % STORED], number)

    async def _update(self, session_id: str, number: int) -> None:
        async with self._connection.execute("SELECT data FROM sessions WHERE id = ?", (session_id,)) as cursor:
            row = await cursor.fetchone()
        assert row is not None
        data = json.loads(row[0]) | {"tokens": VALUE["tokens"], "server_name": f"n{number}"}
        await self._connection.execute(
            "UPDATE sessions SET data = ?, expires = ? WHERE id = ?", (json.dumps(data), number, session_id)
        )
        await self._connection.commit()


async def beside_aiosqlite(folder: Path) -> list[Pair]:
    table = SqliteStorageBackend(folder / "ours.db")
    await table.init()
    await asyncio.gather(*(table.create_session(session(f"session{number}")) for number in range(STORED)))
    await settle(table)

    async def update(number: int) -> None:
        await table.update_session(
            "alice", IDS[number % STORED], {"tokens": SESSION.tokens, "server_name": f"n{number}"}
        )

    pairs = []
    for title, journal, bar in (("plain aiosqlite", "delete", 4), ("aiosqlite in WAL, FULL", "wal", None)):
        async with aiosqlite.connect(folder / f"{journal}.db") as connection:
            await connection.execute(f"PRAGMA journal_mode = {journal}")
            await connection.execute("PRAGMA synchronous = FULL")
            rows = PlainRows(connection)
            await rows.fill()
            for callers in (1, 16):
                who = f"{callers} caller{'s' if callers > 1 else ''}"
                pairs.append(
                    await paired(
                        f"sqlite: update, against select and update by {title}, {who}",
                        update,
                        rows.update,
                        bar=bar,
                        callers=callers,
                        chunk=10 * callers if callers > 1 else 20,
                    )
                )
                print(pairs[-1], flush=True)
    await table.disconnect()
    return pairs


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="the folder of the stores; default: the system's temporary folder")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    pairs = await memory()
    print(*pairs, sep="\n", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        pairs += await on_disk(Path(folder))
        pairs += await beside_aiosqlite(Path(folder))
    return report(pairs)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
