"""A correct store in a JSON file, one small step at a time, from which broken ones are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from pytest_mcp_storage.harnesses.file import FileHarness
from pytest_mcp_storage.harnesses.options import given
from pytest_mcp_storage.zoo.shelf import Row, Rows, Shelf, ShelfBackend
from reference_backends import Clock, StorageSetupError
from reference_backends.file_content import replace
from reference_backends.file_lock import FileLock
from reference_backends.record import from_wire, to_wire

Answer = TypeVar("Answer")


class Sheet(Shelf):
    """The rows in a file, which each request reads and, where it changes them, replaces under a lock."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.lock = FileLock(path.with_name(f"{path.name}.lock"), patience=5)

    def done(self, work: Callable[[Rows], Answer]) -> Answer:
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
        """The rows of the file. Raises :class:`StorageSetupError`."""
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
        """The rows in a file's content."""
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
        """The content of a file with these rows: camelCase, ``expiresAt`` in seconds since the epoch."""
        return json.dumps([to_wire(row.record) | {"expiresAt": row.expires_at} for row in rows.values()]).encode()


class SheetHarness(FileHarness):
    """Drives a kind of :class:`Sheet`: all that :class:`FileHarness` does, upon the same layout."""

    name: ClassVar[str] = "sheet"
    breaks: ClassVar[str] = ""
    sheet: ClassVar[type[Sheet]] = Sheet
    backend: ClassVar[type[ShelfBackend]] = ShelfBackend

    async def open(  # type: ignore[override]
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> ShelfBackend:
        backend = self.backend(self.sheet(self.path), **given(encryption_key, clock, default_ttl))
        await backend.init()
        return backend
