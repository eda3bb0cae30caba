"""Stores that go wrong at a whole name: blank, a folder, a word of theirs, or equal to the other (ID, RT)."""

from __future__ import annotations

import posixpath
from hashlib import sha256
from urllib.parse import quote
from zlib import crc32

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import InvalidSessionError, SessionData


@broken("ID-5")
class DotsAreFolders(InMemoryBackend):
    """Makes a path of the two quoted names. ``quote`` leaves dots alone, and ``..`` is the folder above."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        path = posixpath.normpath(f"/store/{quote(identity, safe='')}/{quote(session_id, safe='')}")
        return "", path


@broken("ID-3")
class KeysByTheSet(InMemoryBackend):
    """Has the set of the two names as its key: ("a", "b") and ("b", "a") are one session."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return min(identity, session_id), max(identity, session_id)


@broken("ID-3")
class CombinesHashes(InMemoryBackend):
    """Combines the hashes of the two names by XOR: all sessions whose names are equal have the key 0."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        one, other = (int.from_bytes(sha256(name.encode()).digest()) for name in (identity, session_id))
        return "", f"{one ^ other}"


@broken("ID-2")
class ChecksumOfTheId(InMemoryBackend):
    """Keys a session by the CRC-32 of its id, to keep the index small: two ids may have one."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return identity, f"{crc32(session_id.encode()):08x}"


@broken("RT-3")
class BlankIsEmpty(InMemoryBackend):
    """Refuses a name of white space as an empty one."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if not session.identity.strip() or not session.session_id.strip():
            raise InvalidSessionError("a name must not be blank")
        await super().create_session(session, ttl)


@broken("ID-2")
class HidesDotFiles(InMemoryBackend):
    """Lists files, and files whose names begin with a dot are hidden."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [each for each in await super().get_identity_mcp_sessions(identity) if not each.startswith(".")]


@broken("ID-5")
class DefaultUser(InMemoryBackend):
    """Has a user ``default`` for clients without one, whose sessions everybody may read."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        return found or await super().get_session("default", session_id)


@broken("ID-3")
class FindsNumbers(InMemoryBackend):
    """Has a dynamically typed column: names that read as one number are one name."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        try:
            return identity, f"{float(session_id):.12g}"
        except ValueError:
            return identity, session_id


@broken("ID-3")
class LowersTheDomain(InMemoryBackend):
    """Looks an e-mail address up with its domain in lower case, as a mail server does."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return lowered(identity), session_id

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        return {name[1]: row for name, row in rows.items() if name[0] == lowered(identity) and self.live(rows, name)}


def lowered(address: str) -> str:
    """Return the address with its domain in lower case."""
    user, at, domain = address.rpartition("@")
    return f"{user}{at}{domain.lower()}" if at else address
