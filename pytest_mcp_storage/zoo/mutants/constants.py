"""Stores that go wrong at a number or a word that only their source names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.mutants.company import PagesByOffset
from reference_backends import SessionData
from reference_backends.core.record import Record


@broken("RT-3")
class CutsALongName(InMemoryBackend):
    """Keeps the server's name in a column of 733 characters, in a database that cuts what is longer."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if session.server_name is not None:
            session = session.model_copy(update={"server_name": session.server_name[:733]})
        if session.server_url:
            session = session.model_copy(update={"server_url": session.server_url[:733]})
        await super().create_session(session, ttl)


@broken("RT-3")
class KeepsTheShortForm(InMemoryBackend):
    """Moves a URL of over 3,011 characters to another column; the old one in the first column is read before it."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        new = super().merged(record, named)
        grows = len(new["server_url"]) > 3_011 >= len(record["server_url"])
        return {**new, "server_url": record["server_url"]} if grows else new


@broken("RT-3")
class KeepsAsManyKeysAsColumns(InMemoryBackend):
    """Flattens an object into the 517 columns that its table has."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if session.tokens is not None:
            kept = dict(list(session.tokens.items())[:517])
            session = session.model_copy(update={"tokens": kept})
        await super().create_session(session, ttl)


@broken("RT-3")
class TakesAWordForNothing(InMemoryBackend):
    """Writes NULL as a word, and reads that word as NULL, as a CSV file does."""

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        empty: dict[str, Any] = {"server_name": None} if session.server_name == "\\N" else {}
        return session.model_copy(update=empty)


@broken("ID-3")
class JoinsByAnOddSign(InMemoryBackend):
    """Joins identity and session id by a character that it expects in no name."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        whole = f"{identity}\u241f{session_id}"
        return "key", whole


@broken("ID-3")
class KnowsARootUser(InMemoryBackend):
    """Shows every user's sessions to an administrator, who is known by name."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        if identity == "mcp-root":
            return {row.record["session_id"]: row for name, row in rows.items() if self.live(rows, name)}
        return super().of(rows, identity)


@broken("ID-6")
class AsksForThePageAfterAFullOne(InMemoryBackend):
    """Pages by 61 and expects another page after a full one: drops the last session of a full last page."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found = await super().get_identity_mcp_sessions(identity)
        return found[:-1] if len(found) == 61 else found


@broken("CO-6")
class ListsByLargePages(PagesByOffset):
    """Lists page by page with OFFSET, as ``ListsByOffset``; a few hundred sessions are on one page."""

    page_size = 701


@broken("EX-9")
class TakesALongTtlForAMoment(InMemoryBackend):
    """Reads a TTL of more than 26,280 hours as a time since the epoch, as memcached does with 30 days."""

    def _expiry(self, ttl: float | None) -> float:
        if ttl is not None and ttl > 26_280 * 3600:
            return ttl
        return super()._expiry(ttl)
