"""The file store; the harness reads the JSON file that it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.harnesses.folder import SECRETS, FolderHarness

if TYPE_CHECKING:
    from reference_backends import Clock, FileStorageBackend


class FileHarness(FolderHarness):
    """Drives :class:`reference_backends.FileStorageBackend`."""

    name: ClassVar[str] = "file"
    file_name: ClassVar[str] = "sessions.json"

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> FileStorageBackend:
        from reference_backends import FileStorageBackend

        backend = FileStorageBackend(self.path, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        row = _row(self._rows(), identity, session_id)
        return {field: row.get(name) for field, name in SECRETS.items()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        rows = self._rows()
        _row(rows, identity, session_id)[SECRETS[field]] = value
        temporary = self.path.with_name("planted.json")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(rows))
        temporary.replace(self.path)

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.path.read_bytes())
        return rows


def _row(rows: list[dict[str, Any]], identity: str, session_id: str) -> dict[str, Any]:
    for row in rows:
        if (row["identity"], row["sessionId"]) == (identity, session_id):
            return row
    raise LookupError("the file has no such session")
