"""What the supervisor needs of servers, and how they report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol


class Servers(Protocol):
    """Processes or containers that the supervisor starts and ends. Only a Supabase stack has ``keys``."""

    def __init__(self, folder: Path, keys: Any, **settings: Any) -> None: ...

    async def start(self, note: Note) -> None:
        """Start them; for a stack, start what all stores share."""

    def facts(self) -> dict[str, Any]:
        """Return process ids and folders."""

    async def stop(self) -> None:
        """End everything."""


class Note:
    """Reports progress to the process that started the supervisor, and how long each part took (seconds)."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self.parts: dict[str, float] = {}
        self._since = time.perf_counter()

    def say(self, text: str) -> None:
        """Send a line for a person to read."""
        self._send({"say": text})

    def part(self, name: str) -> None:
        """Add the time since the last part to ``name``."""
        now = time.perf_counter()
        self.parts[name] = self.parts.get(name, 0.0) + now - self._since
        self._since = now
