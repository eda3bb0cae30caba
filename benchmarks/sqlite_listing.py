"""List an identity's sessions from SQLite among more and more rows of others: ``python benchmarks/sqlite_listing.py``.

The identity's rows are evenly distributed. Each size is timed alternately with the smallest; the limit is that rows of
others cost nothing measurable. A million rows need 0.8 GB in the folder for temporary files, and a minute.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from paired import Pair, Work, paired, report
from sample import session

from reference_backends import SqliteStorageBackend
from reference_backends.core.record import RecordCodec
from reference_backends.embedded.rows import row_text

OWN = 100
SIZES = (100, 10_000, 1_000_000)
FAR = 4_000_000_000_000
BAR = 1.2


def rows(size: int) -> Iterator[tuple[str, str, str, int]]:
    text = row_text(RecordCodec(None).record(session("session0")))
    for number in range(size):
        own = number % (size // OWN) == 0
        yield f"session{number}", "alice" if own else f"user{number % 5000}", text, FAR + number


async def filled(path: Path, size: int) -> SqliteStorageBackend:
    backend = SqliteStorageBackend(path)
    await backend.init()
    await backend.disconnect()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany("INSERT INTO mcp_sessions VALUES (?, ?, ?, ?)", rows(size))
        connection.commit()
    await backend.init()
    return backend


def listing(backend: SqliteStorageBackend) -> Work:
    async def work(_: int) -> None:
        assert len(await backend.get_identity_sessions_data("alice")) == OWN

    return work


async def main() -> int:
    logging.disable(logging.WARNING)
    pairs: list[Pair] = []
    with tempfile.TemporaryDirectory() as folder:
        backends = [await filled(Path(folder) / f"{size}.db", size) for size in SIZES]
        for size, backend in zip(SIZES[1:], backends[1:], strict=True):
            title = f"sqlite: list own {OWN} among {size:,} rows, against among {SIZES[0]}"
            pairs.append(
                await paired(title, listing(backend), listing(backends[0]), bar=BAR, at_most=True, chunk=5, rounds=40)
            )
            print(pairs[-1], flush=True)
        for backend in backends:
            await backend.disconnect()
    return report(pairs)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
