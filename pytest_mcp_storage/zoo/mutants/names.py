"""Stores that treat two names as one, or truncate names."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import InvalidSessionError, SessionData, SessionNotFoundError, SessionUpdate
from reference_backends.core.validation import check_names


class _Folding(InMemoryBackend):
    """Base: the key of a row is its two names, ``folded``."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return self.folded(identity), self.folded(session_id)

    def folded(self, name: str) -> str:
        return name


@broken("ID-3")
class StripsIds(InMemoryBackend):
    """Strips white space from session ids, and not from identities."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return identity, session_id.strip()


@broken("ID-3")
class LooksPastAccents(_Folding):
    """Compares under a collation that ignores accents, another of MySQL's defaults: é is e."""

    def folded(self, name: str) -> str:
        return "".join(each for each in unicodedata.normalize("NFD", name) if not unicodedata.combining(each))


@broken("ID-3")
class OneSmileyForAll(_Folding):
    """Compares under utf8mb4_general_ci, to which all characters past the basic plane are the same."""

    def folded(self, name: str) -> str:
        return "".join(each if each < "\U00010000" else "\ufffd" for each in name)


@broken("ID-3")
class UnquotesNames(_Folding):
    """Decodes the parts of its URLs twice: ``a%20b`` is ``a b``."""

    def folded(self, name: str) -> str:
        return unquote(name)


@broken("ID-3")
class NumbersAreNumbers(_Folding):
    """Declares its columns STRING, which SQLite takes for NUMERIC: ``0123`` is 123."""

    def folded(self, name: str) -> str:
        return str(int(name)) if re.fullmatch(r"\+?[0-9]+", name) else name


@broken("ID-3")
class CutsKeysAt64(_Folding):
    """Indexes the first 64 characters of a name, uniquely."""

    def folded(self, name: str) -> str:
        return name[:64]


@broken("ID-3")
class CutsKeysAt255Bytes(_Folding):
    """Makes a file name of a name and cuts it to the 255 bytes that one may have."""

    def folded(self, name: str) -> str:
        return name.encode()[:255].decode(errors="ignore")


@broken("ID-3")
class SafeFileNames(_Folding):
    """Replaces what a file name may not hold by ``_``."""

    def folded(self, name: str) -> str:
        return re.sub(r"[^\w.-]", "_", name)


@broken("ID-3")
class UpdatesByPattern(InMemoryBackend):
    """Has ``identity LIKE ?`` in the update, copied from the search page: ``%`` writes into all accounts."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        mine = [re.escape(part).replace("%", ".*").replace("_", ".") for part in (identity, session_id)]
        alike = await self.call(
            lambda rows: [n for n in rows if all(map(_matches, mine, n)) and self.live(rows, n)],
        )
        for name in alike:
            await super().update_session(*name, changes, ttl)


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name, re.DOTALL) is not None


class _Unchecked(InMemoryBackend):
    """Base: checks the length of names only; ``cleaned`` is what the driver makes of them."""

    def taken(self, name: str) -> str:
        if not 1 <= len(name) <= 255:
            raise InvalidSessionError("a name has 1 to 255 characters")
        return self.cleaned(name) or "-"

    def cleaned(self, name: str) -> str:
        return name

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(self.taken(identity), self.taken(session_id))

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(self.taken(identity), self.taken(session_id), changes, ttl)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(self.taken(identity), self.taken(session_id))


@broken("LC-9")
class NulEndsTheName(_Unchecked):
    """Checks the length in Python, and hands the name to a C library that stops at NUL."""

    def cleaned(self, name: str) -> str:
        return name.partition("\0")[0]


@broken("LC-9")
class DropsSurrogates(_Unchecked):
    """Encodes with ``errors="ignore"``, after a crash with strange input."""

    def cleaned(self, name: str) -> str:
        return name.encode(errors="ignore").decode()


@broken("LC-9")
class UpdateCutsTheIdentity(InMemoryBackend):
    """Cuts the identity to its column, in the one query that was written last."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity[:255], session_id, changes, ttl)


class _KnowsIdentities(InMemoryBackend):
    """Base: checks that the identity has any session, and then uses the id alone."""

    async def owner(self, identity: str, session_id: str) -> str:
        check_names(identity, session_id)

        def find(rows: Rows) -> str:
            known = any(name[0] == identity for name in rows) and (identity, session_id) not in rows
            return next((name[0] for name in rows if known and name[1] == session_id), identity)

        return await self.call(find)


@broken("ID-5")
class AnyUserReads(_KnowsIdentities):
    """Lets any identity that has a session read one."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(await self.owner(identity, session_id), session_id)


@broken("LC-5")
class AnyUserUpdates(_KnowsIdentities):
    """Lets any identity that has a session change one."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(await self.owner(identity, session_id), session_id, changes, ttl)


@broken("LC-8")
class AnyUserRemoves(_KnowsIdentities):
    """Lets any identity that has a session remove one."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(await self.owner(identity, session_id), session_id)


@broken("LC-9")
class RenewalChecksNoNames(InMemoryBackend):
    """Renews by a shortcut past the checks: if no field is named there seems to be nothing to check."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        if "" in (identity, session_id) and not changes:
            raise SessionNotFoundError("there is no such session")
        await super().update_session(identity, session_id, changes, ttl)


@broken("LC-9")
class RenewalCutsTheId(InMemoryBackend):
    """Cuts the id to its column in the statement that renews, which was written before the others were fixed."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id if changes else session_id[:255], changes, ttl)
