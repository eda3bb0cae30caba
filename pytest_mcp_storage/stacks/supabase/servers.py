"""What the supervisor needs of the servers of a Supabase stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_mcp_storage.stacks.servers import Servers


@dataclass(frozen=True)
class Upstream:
    """A database behind a PostgREST: the address of PostgREST, and the superuser's connection string.

    ``keys`` is set if it has a gateway with keys already.
    """

    address: Path | str
    database_url: str
    keys: Mapping[str, str | None] | None = None


class StoreServers(Servers, Protocol):
    """PostgreSQL and PostgREST, as processes or as containers."""

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        """Make an empty database ``name`` with its own PostgREST."""

    async def ready(self, name: str) -> None:
        """Wait until that PostgREST answers."""

    async def remove(self, name: str) -> None:
        """Destroy it."""
