"""Stores with an index that does not follow their rows everywhere."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, SessionExistsError, SessionUpdate
from reference_backends.core.validation import check_names, check_session


class _Indexed(InMemoryBackend):
    """Base: the listings go by a list of ids that each identity has."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.index: dict[str, list[str]] = vars(store).setdefault("index", {})

    def add(self, identity: str, session_id: str) -> None:
        self.drop(identity, session_id)
        self.index.setdefault(identity, []).append(session_id)

    def drop(self, identity: str, session_id: str) -> None:
        self.index[identity] = [each for each in self.index.get(identity, []) if each != session_id]

    def drop_of_all(self, session_id: str) -> None:
        for owner in list(self.index):
            self.drop(owner, session_id)

    def listed(self, rows: Rows, identity: str) -> list[Row]:
        found = [self.live(rows, (identity, each)) for each in self.index.get(identity, [])]
        return [row for row in found if row is not None]

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        await super().get_identity_sessions_data(identity)
        return [self.shown(row.record) for row in await self.call(lambda rows: self.listed(rows, identity))]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        await super().get_identity_mcp_sessions(identity)
        return [row.record["session_id"] for row in await self.call(lambda rows: self.listed(rows, identity))]

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.add(session.identity, session.session_id)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.drop(identity, session_id)

    async def clear_all(self) -> None:
        await super().clear_all()
        self.index.clear()


@broken("LC-1", "LC-7")
class IndexesBeforeItRefuses(_Indexed):
    """Adds the id to the index, then inserts the row, which may be there already."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        self._expiry(ttl)
        self.index.setdefault(session.identity, []).append(session.session_id)
        await InMemoryBackend.create_session(self, session, ttl)


@broken("EX-4")
class IndexesTheReturnedTwice(_Indexed):
    """Leaves the entry of an expired session, and appends another when its id is created anew."""

    def add(self, identity: str, session_id: str) -> None:
        self.index.setdefault(identity, []).append(session_id)


@broken("ID-1", "ID-2")
class IndexesWhatItUpdates(_Indexed):
    """Updates by the function that creates, index entry and all."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.index.setdefault(identity, []).append(session_id)


@broken("LC-8")
class StrangersEmptyTheIndex(_Indexed):
    """Deletes the row by both names and the index entry by the id alone."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.drop_of_all(session_id)


@broken("LC-8")
class RemovalDropsTheIndex(_Indexed):
    """Deletes the set (DEL) in place of its member (SREM): the others are readable, and listed nowhere."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.index.pop(identity, None)


class _Cleaning(_Indexed):
    """Base: cleanup takes what has expired out of the index too."""

    def expired(self, identity: str, session_id: str) -> None:
        raise NotImplementedError

    async def cleanup_expired_sessions(self) -> None:
        dead = await self.call(lambda rows: [name for name in rows if not self.live(rows, name)])
        await super().cleanup_expired_sessions()
        for identity, session_id in dead:
            self.expired(identity, session_id)


@broken("EX-5")
class CleanupDropsTheIndex(_Cleaning):
    """Cleans up the index of an identity of which something expired."""

    def expired(self, identity: str, session_id: str) -> None:
        self.index.pop(identity, None)


@broken("EX-5")
class CleansTheIndexById(_Cleaning):
    """Takes the ids of expired sessions out of the index by the id alone, of every identity."""

    def expired(self, identity: str, session_id: str) -> None:
        self.drop_of_all(session_id)


@broken("ID-4")
class OneOwnerForEachId(_Indexed):
    """Keeps the rows of two identities apart, and in the index each id once."""

    def add(self, identity: str, session_id: str) -> None:
        for owner in list(self.index):
            self.drop(owner, session_id)
        super().add(identity, session_id)


class _Timed(InMemoryBackend):
    """Base: cleanup goes by a list of ends in addition to the rows."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.ends: dict[SessionKey, float] = vars(store).setdefault("ends", {})

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.ends[session.identity, session.session_id] = self._expiry(ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self.ends[identity, session_id] = self._expiry(ttl)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.ends.pop((identity, session_id), None)

    async def clear_all(self) -> None:
        await super().clear_all()
        self.ends.clear()

    async def cleanup_expired_sessions(self) -> None:
        def sweep(rows: Rows) -> None:
            for name in [name for name, end in self.ends.items() if end <= self._clock()]:
                rows.pop(name, None)
                del self.ends[name]

        await self.call(sweep)


@broken("EX-5")
class RenewalLeavesTheOldEnd(_Timed):
    """Renews the row, and leaves its place in the list of ends: cleanup takes a session that is in use."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await InMemoryBackend.update_session(self, identity, session_id, changes, ttl)


@broken("EX-5")
class EndsFollowATtlAlone(_Timed):
    """Moves the end if an update has a ttl, and not if it renews for the default."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        follows = _Timed if ttl is not None else InMemoryBackend
        await follows.update_session(self, identity, session_id, changes, ttl)


@broken("EX-5")
class EndsFollowRenewalsAlone(_Timed):
    """Moves the end in the code that renews, and not in the code that changes fields."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        follows = InMemoryBackend if changes else _Timed
        await follows.update_session(self, identity, session_id, changes, ttl)


class _KeepsEnds(_Timed):
    """Base: a name that has an end keeps it when it is created anew (``ZADD NX``)."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        old = self.ends.get((session.identity, session.session_id))
        await super().create_session(session, ttl)
        if old is not None:
            self.ends[session.identity, session.session_id] = old


@broken("EX-4")
class DeadEndsKillTheNew(_KeepsEnds):
    """Creates over an expired session, whose end cleanup then finds."""


@broken("EX-5")
class RemovalLeavesTheEnd(_KeepsEnds):
    """Removes the row and leaves its end, by which a new session of that name is cleaned up."""

    async def remove_session(self, identity: str, session_id: str) -> None:
        await InMemoryBackend.remove_session(self, identity, session_id)


@broken("LC-10")
class ClearLeavesTheEnds(_KeepsEnds):
    """Clears the rows and leaves the list of ends."""

    async def clear_all(self) -> None:
        await InMemoryBackend.clear_all(self)


@broken("EX-5")
class CleansTheFirstHundred(InMemoryBackend):
    """Cleans up with ``LIMIT 100``, so that the job does not take long, and counts on being called again."""

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name in rows if not self.live(rows, name)][:100]:
                del rows[name]

        await self.call(remove)


@broken("ID-7")
class AllIdsStopAtAThousand(InMemoryBackend):
    """Pages through each identity's listing, and asks for all ids at once."""

    async def get_all_session_ids(self) -> list[str]:
        return (await super().get_all_session_ids())[:1000]


@broken("ID-4")
class AllIdsInASet(InMemoryBackend):
    """Keeps all ids in one set (``SADD``, ``SREM``), which has an id once, even if two identities have it."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(store, **options)
        self.ids: set[str] = vars(store).setdefault("ids", set())

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.ids.add(session.session_id)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self.ids.discard(session_id)

    async def get_all_session_ids(self) -> list[str]:
        live = await super().get_all_session_ids()
        return sorted(self.ids.intersection(live))


@broken("LC-10")
class ClearsOneIdentity(InMemoryBackend):
    """Clears the sessions of the identity that wrote last, since tests have but one."""

    async def clear_all(self) -> None:
        def clear(rows: Rows) -> None:
            last = next(reversed(list(rows)))[0] if rows else ""
            for name in [name for name in rows if name[0] == last]:
                del rows[name]

        await self.call(clear)


@broken("CO-3")
class ClearsTheIndexLater(_Indexed):
    """Clears the rows, and then the index: what was created in between is found by its id, and listed nowhere."""

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        row = Row(self.kept(check_session(session)), self._expiry(ttl))
        name = session.identity, session.session_id

        def insert(rows: Rows) -> None:
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            rows[name] = row
            self.add(*name)

        await self.call(insert)

    async def remove_session(self, identity: str, session_id: str) -> None:
        name = check_names(identity, session_id)

        def remove(rows: Rows) -> None:
            rows.pop(name, None)
            self.drop(*name)

        await self.call(remove)

    async def clear_all(self) -> None:
        await self.call(lambda rows: rows.clear())
        await self.call(lambda rows: self.index.clear())
