"""What a provider's servers do for the supervisor, and how they report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys


@dataclass(frozen=True)
class Upstream:
    """A database behind a PostgREST: where that answers, and the superuser's connection string.

    ``keys`` are there where it stands behind a gateway already, which has keys of its own.
    """

    address: Path | str
    database_url: str
    keys: Mapping[str, str | None] | None = None


class Servers(Protocol):
    """PostgreSQL and PostgREST, as processes or as containers."""

    def __init__(self, folder: Path, keys: ProjectKeys, **settings: Any) -> None: ...

    async def start(self, note: Note) -> None:
        """Start what all stores share."""

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        """Make an empty database ``name`` with a PostgREST of its own."""

    async def ready(self, name: str) -> None:
        """Wait until that PostgREST answers."""

    async def remove(self, name: str) -> None:
        """Destroy it."""

    def facts(self) -> dict[str, Any]:
        """Process ids and folders, for whoever wants to look."""

    async def stop(self) -> None:
        """End everything."""


class Note:
    """Tells the other end what is going on, and how long each part took (seconds)."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self.parts: dict[str, float] = {}
        self._since = time.perf_counter()

    def say(self, text: str) -> None:
        """Send a line for a person to read."""
        self._send({"say": text})

    def part(self, name: str) -> None:
        """Book the time since the last part under ``name``."""
        now = time.perf_counter()
        self.parts[name] = self.parts.get(name, 0.0) + now - self._since
        self._since = now
