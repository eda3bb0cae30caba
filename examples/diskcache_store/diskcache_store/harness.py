"""How the conformance suite drives the diskcache store."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from diskcache_store.store import DiskcacheBackend
from pytest_mcp_storage import BackendHarness, Capability


class DiskcacheHarness(BackendHarness):
    """Makes a directory for each run; reads the store with sqlite3, not with the store's code."""

    name = "diskcache"
    capabilities = frozenset(
        {
            Capability.KEY,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.CLOCK,
            Capability.DEFAULT_TTL,
            Capability.AT_REST,
            Capability.FILES,
            Capability.CRASH,
        }
    )

    def __init__(self, attached_to: Path | None = None) -> None:
        self.attached = attached_to is not None
        self.path = attached_to or Path()

    async def __aenter__(self) -> Self:
        if not self.attached:
            self.path = Path(tempfile.mkdtemp(prefix="diskcache-store-"))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if not self.attached:
            shutil.rmtree(self.path)

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Callable[[], float] | None = None,
        default_ttl: float | None = None,
    ) -> DiskcacheBackend:
        options: dict[str, Any] = {"encryption_key": encryption_key}
        if clock is not None:
            options["clock"] = clock
        if default_ttl is not None:
            options["default_ttl"] = default_ttl
        backend = DiskcacheBackend(self.path, **options)
        await backend.init()
        return backend

    # AT_REST

    async def stored_bytes(self) -> bytes:
        return b"\n".join(file.read_bytes() for file in sorted(self.path.rglob("*")) if file.is_file())

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        fields: dict[str, Any] = self._read(identity, session_id)[1]["fields"]
        return fields

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        rowid, row = self._read(identity, session_id)
        row["fields"][field] = value
        with sqlite3.connect(self.path / "cache.db") as database:
            database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (_packed(json.dumps(row)), rowid))
        database.close()

    def _read(self, identity: str, session_id: str) -> tuple[int, dict[str, Any]]:
        database = sqlite3.connect(self.path / "cache.db")
        try:
            for rowid, key, value in database.execute("SELECT rowid, key, value FROM Cache"):
                if _unpacked(key) == ["session", identity, session_id]:
                    return rowid, json.loads(_unpacked(value))
        finally:
            database.close()
        raise LookupError(session_id)

    # FILES, CRASH

    def files(self) -> Sequence[Path]:
        return sorted(self.path.iterdir(), key=lambda file: file.name != "cache.db")

    def locator(self) -> Mapping[str, Any]:
        return {"path": str(self.path)}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(attached_to=Path(locator["path"]))


def _packed(value: Any) -> bytes:
    """Encode a value as diskcache's JSONDisk does."""
    import zlib

    return zlib.compress(json.dumps(value).encode(), 1)


def _unpacked(stored: bytes) -> Any:
    import zlib

    return json.loads(zlib.decompress(stored))
