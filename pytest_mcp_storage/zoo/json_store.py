"""A correct store in a JSON file, one small step at a time, from which broken ones are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.harnesses.file import FileHarness
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryStore, Row, Rows
from reference_backends import Clock, StorageSetupError
from reference_backends.core.record import from_wire, to_wire
from reference_backends.file.content import replace
from reference_backends.file.lock import FileLock

Result = TypeVar("Result")


class JsonStore(InMemoryStore):
    """The rows in a file. Each request reads it and, if it changes the rows, replaces it under a lock."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=5)

    def done(self, work: Callable[[Rows], Result]) -> Result:
        with self.lock:
            rows = self.load()
            before = dict(rows)
            answer = work(rows)
            if rows != before or not self.path.exists():
                self.save(rows)
            return answer

    def leave(self) -> None:
        self.lock.close()

    def load(self) -> Rows:
        """Return the rows of the file. Raises :class:`StorageSetupError`."""
        if not self.path.exists():
            return {}
        try:
            return self.parsed(self.path.read_bytes())
        except (ValueError, TypeError, KeyError) as error:
            raise StorageSetupError(f"{self.path} is damaged; restore it, or move it away") from error

    def save(self, rows: Rows) -> None:
        """Replace the file by these rows."""
        replace(self.path, self.text(rows))

    @staticmethod
    def parsed(content: bytes) -> Rows:
        """Return the rows in a file's content."""
        rows = {}
        document = json.loads(content)
        if not isinstance(document, list):
            raise TypeError("not an array")
        for line in document:
            record = from_wire(line)
            rows[line["identity"], line["sessionId"]] = Row(record, record.pop("expiresAt"))
        return rows

    @staticmethod
    def text(rows: Rows) -> bytes:
        """Return a file's content with these rows: camelCase, ``expiresAt`` in seconds since the epoch."""
        return json.dumps([to_wire(row.record) | {"expiresAt": row.expires_at} for row in rows.values()]).encode()


class JsonStoreHarness(FileHarness):
    """Drives a kind of :class:`JsonStore`: all that :class:`FileHarness` does, on the same layout."""

    name: ClassVar[str] = "store"
    breaks: ClassVar[str] = ""
    store: ClassVar[type[JsonStore]] = JsonStore
    backend: ClassVar[type[InMemoryBackend]] = InMemoryBackend

    async def open(  # type: ignore[override]
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        backend = self.backend(self.store(self.path), **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend
