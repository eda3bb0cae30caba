"""A store that is a file in a separate folder for each harness."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness

SECRETS = {
    "tokens": "tokens",
    "headers": "headers",
    "code_verifier": "codeVerifier",
    "client_information": "clientInformation",
}
"""The fields that ``stored_fields`` returns: field -> its name in a stored row."""


class FolderHarness(BackendHarness):
    """Base of the file and the SQLite harness."""

    file_name: ClassVar[str]
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

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._attached = False

    @property
    def path(self) -> Path:
        """Return the main file of the store."""
        if self._folder is None:
            raise RuntimeError(f"{type(self).__name__} has no store yet: use it in `async with`, or attach() to one")
        return self._folder / self.file_name

    async def __aenter__(self) -> Self:
        if not self._attached:
            self._folder = Path(tempfile.mkdtemp(prefix=f"mcp-storage-{self.name}-"))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._folder is not None and not self._attached:
            shutil.rmtree(self._folder)
            self._folder = None

    async def stored_bytes(self) -> bytes:
        contents = []
        for file in self.files():
            with suppress(FileNotFoundError):  # a temporary file that a handle has just removed
                contents.append(self._content(file))
        return b"\0".join(contents)

    def files(self) -> Sequence[Path]:
        return sorted(self.path.parent.iterdir(), key=lambda file: (file != self.path, file.name))

    def locator(self) -> Mapping[str, Any]:
        return {"folder": str(self.path.parent)}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        harness = cls()
        harness._folder = Path(locator["folder"])
        harness._attached = True
        return harness

    def _content(self, file: Path) -> bytes:
        return file.read_bytes()
