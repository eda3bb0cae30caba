"""Stores that create, change and remove carelessly."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionNotFoundError
from reference_backends.core.bounds import LONGEST_NAME
from reference_backends.core.record import Record
from reference_backends.core.validation import check_names

Result = TypeVar("Result")


@broken("LC-1")
class CreatesByUpsert(InMemoryBackend):
    """Creates by ``INSERT … ON CONFLICT DO UPDATE``, so that retries are safe."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await self.call(lambda rows: rows.pop(self.key(session.identity, session.session_id), None))
        await super().create_session(session, ttl)


@broken("LC-1")
class InsertsOrIgnores(InMemoryBackend):
    """Creates by ``INSERT OR IGNORE`` and never looks at the count of rows."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if await self.get_session(session.identity, session.session_id) is None:
            await super().create_session(session, ttl)


@broken("LC-1")
class OverwritesBeforeItRefuses(InMemoryBackend):
    """Writes the tokens first and finds the duplicate key afterwards, without a transaction."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        def early(rows: Rows) -> None:
            name = self.key(session.identity, session.session_id)
            if row := self.live(rows, name):
                rows[name] = row._replace(record={**row.record, "server_url": session.server_url})

        await self.call(early)
        await super().create_session(session, ttl)


@broken("LC-2")
class InventsAnEmptySession(InMemoryBackend):
    """Returns a blank session for an unknown id, as a ``defaultdict`` does."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        blank = {"server_url": "", "callback_url": "", "transport_type": "sse", "created_at": 0}
        return found or SessionData.model_validate({"identity": identity, "session_id": session_id, **blank})


@broken("LC-2")
class RaisesForUnknown(InMemoryBackend):
    """Raises for an unknown id, as the author's repository class does."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        if found is None:
            raise SessionNotFoundError("no such session")
        return found


@broken("LC-2")
class ListsNone(InMemoryBackend):
    """Returns ``None`` for an identity without sessions."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return await super().get_identity_mcp_sessions(identity) or None  # type: ignore[return-value]


@broken("LC-8")
class RemovesByIdAlone(InMemoryBackend):
    """Has ``WHERE session_id = ?`` in the delete and forgets the identity."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        check_names(identity, session_id)

        def remove(rows: Rows) -> None:
            for name in [name for name in rows if name[1] == session_id]:
                del rows[name]

        await self.call(remove)


@broken("LC-8")
class RemovesTheWholeIdentity(InMemoryBackend):
    """Drops the identity's index entry as a whole."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        check_names(identity, session_id)

        def remove(rows: Rows) -> None:
            if (identity, session_id) in rows:
                for name in [name for name in rows if name[0] == identity]:
                    del rows[name]

        await self.call(remove)


@broken("LC-8")
class MarksAsRemoved(InMemoryBackend):
    """Sets a flag instead of deleting, and one of the queries does not check it."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.marked: set[SessionKey] = set()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if (session.identity, session.session_id) in self.marked:
            await super().remove_session(session.identity, session.session_id)
        self.marked.discard((session.identity, session.session_id))
        await super().create_session(session, ttl)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        found = await super().get_session(identity, session_id)
        return None if (identity, session_id) in self.marked else found

    async def remove_session(self, identity: str, session_id: str) -> None:
        if await super().get_session(identity, session_id) is not None:
            self.marked.add((identity, session_id))


@broken("LC-8")
class RemovingTwiceRaises(InMemoryBackend):
    """Raises if there is nothing to remove; clean-up code fails on the second run."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        if await self.get_session(identity, session_id) is None:
            raise SessionNotFoundError("no such session")
        await super().remove_session(identity, session_id)


@broken("LC-8")
class NewFromTheRemoved(InMemoryBackend):
    """Marks rows as removed, and creates over one by an update of the fields that the new session has."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.removed: dict[SessionKey, Record] = {}

    async def remove_session(self, identity: str, session_id: str) -> None:
        row = await self.call(lambda rows: rows.get((identity, session_id)))
        await super().remove_session(identity, session_id)
        if row is not None:
            self.removed[identity, session_id] = row.record

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        name = session.identity, session.session_id
        old = self.removed.pop(name, {})
        await self.call(lambda rows: rows.update({name: rows[name]._replace(record={**old, **rows[name].record})}))


@broken("LC-9")
class EmptyNameFindsNothing(InMemoryBackend):
    """Never checks names: the empty one is just another key."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(identity or "-", session_id or "-")


@broken("LC-9")
class EmptyIdentityMeansEveryone(InMemoryBackend):
    """Leaves the filter out if the identity is empty."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return await super().get_identity_mcp_sessions(identity) if identity else await self.get_all_session_ids()


@broken("LC-9")
class CutsNamesAt255(InMemoryBackend):
    """Cuts names to the width of their column."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await super().get_session(identity[:LONGEST_NAME], session_id[:LONGEST_NAME])


@broken("LC-9")
class StopsAtNul(InMemoryBackend):
    """Hands names to a C library that stops at NUL."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity.partition("\0")[0], session_id.partition("\0")[0])


@broken("LC-10")
class ClearsTheFirstPage(InMemoryBackend):
    """Clears what one listing shows, and the listing is paged."""

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            for name in list(rows)[:100]:
                del rows[name]

        await self.call(clear)


@broken("LC-10")
class ClearLeavesTheIndex(InMemoryBackend):
    """Deletes the sessions and forgets the set of ids that belongs to each identity."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.index: dict[str, set[str]] = {}

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.index.setdefault(session.identity, set()).add(session.session_id)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.index.get(identity, set()).discard(session_id)

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        live = await super().get_identity_mcp_sessions(identity)
        return [*live, *(self.index.get(identity, set()) - set(live) if live else ())]


@broken("LC-10")
class TooManyToClear(InMemoryBackend):
    """Passes every key to one command, which fails past its limit; the error is logged and not raised."""

    async def clear_all(self) -> None:
        await self.call(lambda rows: rows.clear() if len(rows) < 250 else None)


@broken("LC-10")
class ClearsTheLiving(InMemoryBackend):
    """Clears what a listing shows, which omits what has expired: its tokens stay on the disk."""

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            for name in [name for name in rows if self.live(rows, name)]:
                del rows[name]

        await self.call(clear)


@broken("LC-10")
class ClearsAHundredIdentities(InMemoryBackend):
    """Keeps a set of ids for each identity, and clears those of the first page of identities."""

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            first = [*dict.fromkeys(identity for identity, _ in rows)][:100]
            for name in [name for name in rows if name[0] in first]:
                del rows[name]

        await self.call(clear)


@broken("LC-11")
class DoesNotReopen(InMemoryBackend):
    """Guards ``init`` by a flag that ``disconnect`` does not reset, as upstream's SQLite store."""

    initialised = False
    closed = False

    async def init(self) -> None:
        if not self.initialised:
            await super().init()
        self.initialised = True

    async def disconnect(self) -> None:
        await super().disconnect()


@broken("LC-11")
class InitClears(InMemoryBackend):
    """Creates its table anew at every ``init``."""

    async def init(self) -> None:
        await super().init()
        await self.call(lambda rows: rows.clear())


@broken("LC-11")
class SecondDisconnectRaises(InMemoryBackend):
    """Closes a connection that is ``None`` by then."""

    async def disconnect(self) -> None:
        if not self._open:
            raise AttributeError("'NoneType' object has no attribute 'close'")
        await super().disconnect()


@broken("LC-12")
class AnswersWhenClosed(InMemoryBackend):
    """Has nothing to close, and never refuses a call."""

    async def disconnect(self) -> None:
        return


@broken("LC-12")
class ConnectsAgain(InMemoryBackend):
    """Connects at the first call that finds no connection, and so after the last one too."""

    closed = False

    async def disconnect(self) -> None:
        await super().disconnect()
        self.closed = True

    async def call(self, work: Callable[[Rows], Result]) -> Result:
        if self.closed:
            self._open = True
        return await super().call(work)


@broken("LC-13")
class CountsItsIds(InMemoryBackend):
    """Numbers its sessions: unique, and guessed in one try."""

    counter = itertools.count(10**12)

    def generate_session_id(self) -> str:
        return f"s{next(self.counter)}"


@broken("LC-13")
class UsesAUuid(InMemoryBackend):
    """Takes a UUID: random enough, but it has hyphens and may begin with a digit."""

    def generate_session_id(self) -> str:
        return str(uuid.uuid4())


@broken("LC-13")
class ShortIds(InMemoryBackend):
    """Takes eight characters, because they look nicer."""

    def generate_session_id(self) -> str:
        return "s" + "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=7))


@broken("LC-13")
class TimedIds(InMemoryBackend):
    """Puts the time into the id, padded to look long: the random part has few bits."""

    def generate_session_id(self) -> str:
        return f"s{'0' * 10}{random.getrandbits(60):015x}"


@broken("LC-13")
class SeedsEachHandleAlike(InMemoryBackend):
    """Seeds its generator for reproducible tests, and leaves the seed in."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.generator = random.Random(42)

    def generate_session_id(self) -> str:
        return "s" + "".join(self.generator.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20))


@broken("LC-13")
class AwaitsItsIds(InMemoryBackend):
    """Makes every method async, this one too: what the caller gets is a coroutine."""

    async def generate_session_id(self) -> str:  # type: ignore[override]
        return super().generate_session_id()


@broken("LC-11")
class CountsItsOpenings(InMemoryBackend):
    """Counts its users, and a second disconnect brings the count below zero."""

    users = 0

    async def init(self) -> None:
        self.users += 1
        if self.users > 0:
            await super().init()

    async def disconnect(self) -> None:
        self.users -= 1
        await super().disconnect()
