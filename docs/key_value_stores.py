"""Factories of the py-key-value stores that docs/key-value.md judges.

``--mcp-backend=key-value:key_value_stores:NAME`` names one of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def memory() -> Any:
    from key_value.aio.stores.memory import MemoryStore

    return MemoryStore()


def disk(folder: Path) -> Any:
    from key_value.aio.stores.disk import DiskStore

    return DiskStore(directory=folder)


def filetree(folder: Path) -> Any:
    from key_value.aio.stores.filetree import FileTreeStore

    return FileTreeStore(data_directory=folder)


def filetree_v1(folder: Path) -> Any:
    """Return the same store as FastMCP sets it up."""
    from key_value.aio.stores.filetree import (
        FileTreeStore,
        FileTreeV1CollectionSanitizationStrategy,
        FileTreeV1KeySanitizationStrategy,
    )

    return FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )


def redis() -> Any:
    """Return a store on the server of ``REDIS_URL``; docs/key_value_report.py starts Valkey."""
    from key_value.aio.stores.redis import RedisStore

    return RedisStore(url=os.environ["REDIS_URL"])


def duckdb(folder: Path) -> Any:
    from key_value.aio.stores.duckdb import DuckDBStore

    return DuckDBStore(database_path=folder / "store.duckdb")


def rocksdb(folder: Path) -> Any:
    from key_value.aio.stores.rocksdb import RocksDBStore

    return RocksDBStore(path=folder / "store")


def valkey() -> Any:
    """Return a store on the same server as :func:`redis`.

    Its client waits for 10 s: the usual 250 ms are the machine's fault if it is busy.
    """
    from glide import GlideClientConfiguration, NodeAddress, ServerCredentials
    from key_value.aio.stores.valkey import ValkeyStore

    server = urlsplit(os.environ["REDIS_URL"])
    return ValkeyStore(
        config=GlideClientConfiguration(
            [NodeAddress(server.hostname or "", server.port or 6379)],
            credentials=ServerCredentials(server.password or "", server.username or None),
            request_timeout=10_000,
        )
    )


def postgresql() -> Any:
    """Return a store in the database of ``POSTGRESQL_URL``; docs/key_value_report.py starts PostgreSQL."""
    from key_value.aio.stores.postgresql import PostgreSQLStore

    return PostgreSQLStore(url=os.environ["POSTGRESQL_URL"])
