"""Stores that mix identities, or list too little or too much."""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatchcase

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionExistsError, SessionUpdate


class _Matching(InMemoryBackend):
    """Base: ``matches`` says whose sessions a listing shows."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        return {
            row.record["session_id"]: row
            for name, row in rows.items()
            if self.matches(identity, row.record["identity"]) and self.live(rows, name)
        }

    def matches(self, asked: str, owner: str) -> bool:
        return asked == owner


@broken("ID-1")
class ListsTheFirstThree(InMemoryBackend):
    """Leaves the page size of an example in the query of the data listing."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return (await super().get_identity_sessions_data(identity))[:3]


@broken("ID-1")
class ListsTwice(InMemoryBackend):
    """Joins two tables and forgets DISTINCT."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        return [*found, *(session for session in found if session.active)]


@broken("ID-1")
class ListsWithoutSecrets(InMemoryBackend):
    """Leaves tokens out of the listing to make it lighter."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [each.model_copy(update={"tokens": None}) for each in await super().get_identity_sessions_data(identity)]


@broken("ID-1")
class ListsOnlyActive(InMemoryBackend):
    """Hides sessions whose sign-in is not finished, which the caller is about to finish."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [each for each in await super().get_identity_sessions_data(identity) if each.active is not False]


@broken("ID-1")
class ListsStaleCopies(InMemoryBackend):
    """Keeps the listing in a cache that updates do not empty."""

    def __init__(self, store, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(store, **options)
        self.cache: dict[SessionKey, SessionData] = {}

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        return [self.cache.setdefault((each.identity, each.session_id), each) for each in found]


@broken("ID-1")
class RowsForSessions(InMemoryBackend):
    """Returns the rows as the driver gives them: dicts, which look like sessions in the log."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [each.model_dump() for each in await super().get_identity_sessions_data(identity)]  # type: ignore[misc]


@broken("ID-2")
class IdsInASet(InMemoryBackend):
    """Returns the set that the server keeps; the caller sorts it in place, and fails."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return set(await super().get_identity_mcp_sessions(identity))  # type: ignore[return-value]


@broken("ID-2")
class IdsOfEveryone(InMemoryBackend):
    """Returns all ids, since the session ids are unguessable anyway."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return await self.get_all_session_ids() if await super().get_identity_mcp_sessions(identity) else []


@broken("ID-2")
class IdsOfServers(InMemoryBackend):
    """Returns the server ids if there are any: the column next to the right one."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [each.server_id or each.session_id for each in await self.get_identity_sessions_data(identity)]


@broken("ID-3")
class ListsByPattern(_Matching):
    """Lists by LIKE without escaping: ``al%`` sees alice."""

    def matches(self, asked: str, owner: str) -> bool:
        pattern = "".join({"%": ".*", "_": "."}.get(each, re.escape(each)) for each in asked)
        return re.fullmatch(pattern, owner, re.DOTALL) is not None


@broken("ID-3")
class ListsByGlob(_Matching):
    """Lists by KEYS with the identity in the pattern: ``al*`` sees alice."""

    def matches(self, asked: str, owner: str) -> bool:
        return fnmatchcase(owner, asked)


@broken("ID-3")
class ListsByPrefix(_Matching):
    """Scans keys from the identity on, and does not check where the identity ends: ``a`` sees ``aa``."""

    def matches(self, asked: str, owner: str) -> bool:
        return owner.startswith(asked)


@broken("ID-3")
class FoldsCase(_Matching):
    """Compares under a collation that ignores case, MySQL's default."""

    def matches(self, asked: str, owner: str) -> bool:
        return asked.casefold() == owner.casefold()


@broken("ID-3")
class FoldsNormalForms(InMemoryBackend):
    """Normalises names, so that two users become one."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return unicodedata.normalize("NFC", identity), unicodedata.normalize("NFC", session_id)


@broken("ID-3")
class IgnoresTrailingSpaces(_Matching):
    """Compares as CHAR columns do, padded with spaces."""

    def matches(self, asked: str, owner: str) -> bool:
        return asked.rstrip(" ") == owner.rstrip(" ")


@broken("ID-3")
class JoinsByColon(InMemoryBackend):
    """Keys by ``identity:session``, as upstream: ('a:b', 'c') is ('a', 'b:c')."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return "", f"{identity}:{session_id}"


@broken("ID-3")
class JoinsBySlash(InMemoryBackend):
    """Makes a path of the two names."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return "", f"{identity}/{session_id}"


@broken("ID-3")
class FoldsSessionIds(InMemoryBackend):
    """Looks ids up without regard to case, as file names on some systems."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return identity, session_id.lower()


@broken("ID-3")
class QuotesAway(InMemoryBackend):
    """Escapes quotes by dropping them."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        return identity.replace("'", "").replace("\\", ""), session_id


@broken("ID-4")
class SecondTakesOver(InMemoryBackend):
    """Has the session id as its key alone, and lets a second identity overwrite the first."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        def evict(rows: Rows) -> None:
            for name in [name for name in rows if name[1] == session.session_id and name[0] != session.identity]:
                del rows[name]

        await self.call(evict)
        await super().create_session(session, ttl)


@broken("ID-4")
class RefusesAndOverwrites(InMemoryBackend):
    """Refuses the second identity after it has changed the first one's row."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        def touch(rows: Rows) -> bool:
            taken = [name for name in rows if name[1] == session.session_id and name[0] != session.identity]
            for name in taken:
                rows[name] = rows[name]._replace(record={**rows[name].record, "server_url": session.server_url + "!"})
            return bool(taken)

        if await self.call(touch):
            raise SessionExistsError("that id is taken")
        await super().create_session(session, ttl)


@broken("ID-4")
class RefusesWithAnotherError(InMemoryBackend):
    """Lets the database's error through if the id is taken."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.call(lambda rows: any(n[1] == session.session_id and n[0] != session.identity for n in rows)):
            raise RuntimeError("UNIQUE constraint failed: mcp_sessions.session_id")
        await super().create_session(session, ttl)


@broken("ID-4")
class ExpiryById(InMemoryBackend):
    """Keeps rows by both names, and their expiry by the id alone: the last to be written decides for both."""

    def __init__(self, store, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(store, **options)
        self.ends: dict[str, float] = vars(store).setdefault("ends", {})

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        row = rows.get(name)
        return row if row is not None and self._clock() < self.ends.get(name[1], row.expires_at) else None

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.ends[session.session_id] = self._expiry(ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.ends[session_id] = self._expiry(ttl)


@broken("ID-5")
class FindsByIdAlone(InMemoryBackend):
    """Has ``WHERE session_id = ?`` in the read: anyone who knows the id gets the tokens."""

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        return super().live(rows, name) or next(
            (
                found
                for each in list(rows)
                if each[1] == name[1] and (found := super(type(self), self).live(rows, each))
            ),
            None,
        )

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(identity, session_id)


@broken("ID-6")
class StopsAtAThousand(InMemoryBackend):
    """Asks once, and the server answers with its first 1,000 rows."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        return dict(list(super().of(rows, identity).items())[:1000])


@broken("ID-6")
class PagesOffByOne(InMemoryBackend):
    """Pages by offset and steps one too far: the first row of each further page is lost."""

    page = 100

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        found = sorted(super().of(rows, identity).items())
        return dict(item for place, item in enumerate(found) if place == 0 or place % self.page)


@broken("ID-6")
class PagesOverlap(InMemoryBackend):
    """Pages by key with ``>=``: the last row of each page comes twice."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found = sorted(await super().get_identity_mcp_sessions(identity))
        return [each for start in range(0, len(found), 500) for each in found[start : start + 501]]


@broken("ID-7")
class AllIdsOfOneIdentity(InMemoryBackend):
    """Builds the list of all ids from the last identity's listing."""

    async def get_all_session_ids(self) -> list[str]:
        def last(rows: Rows) -> list[str]:
            owner = next(reversed(list(rows)))[0] if rows else ""
            return list(self.of(rows, owner))

        return await self.call(last)


@broken("ID-7")
class AllKeysInsteadOfIds(InMemoryBackend):
    """Returns the keys of the rows, cut at the last colon."""

    async def get_all_session_ids(self) -> list[str]:
        return [each.rpartition(":")[2] for each in await super().get_all_session_ids()]


@broken("ID-7")
class AllIdsWithTheRemoved(InMemoryBackend):
    """Keeps a set of all ids and leaves removed ones in it."""

    def __init__(self, store, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(store, **options)
        self.seen: set[str] = set()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.seen.add(session.session_id)

    async def get_all_session_ids(self) -> list[str]:
        return sorted({*self.seen, *await super().get_all_session_ids()})
