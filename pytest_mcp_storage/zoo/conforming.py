"""Correct stores that look unusual. A suite that fails one of them demands more than the contract."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Rows
from pytest_mcp_storage.zoo.json_store import JsonStore, JsonStoreHarness
from pytest_mcp_storage.zoo.mutants.row_security import GuardedHarness
from reference_backends import (
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageUnavailableError,
)
from reference_backends.core.bounds import LONGEST_NAME
from reference_backends.core.errors import InvalidSessionError
from reference_backends.core.record import Record
from reference_backends.file.content import replace

logger = logging.getLogger("pytest_mcp_storage.zoo")

Result = TypeVar("Result")


class Plain(InMemoryHarness):
    """The store in memory from which broken ones are made."""


class PlainFile(JsonStoreHarness):
    """The store in a file from which broken ones are made."""


class _RefusesTakenIds(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        def taken(rows: Rows) -> bool:
            return any(
                name[1] == session.session_id and name[0] != session.identity and self.live(rows, name) for name in rows
            )

        if await self.call(taken):
            raise SessionExistsError("that id is taken")
        await super().create_session(session, ttl)


class RefusesTakenIds(InMemoryHarness):
    """Holds session ids unique over all identities, as ID-4 allows."""

    backend = _RefusesTakenIds


class _ListsInAnyOrder(InMemoryBackend):
    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        return random.sample(found, len(found))

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        found = await super().get_identity_mcp_sessions(identity)
        return random.sample(found, len(found))


class ListsInAnyOrder(InMemoryHarness):
    """Lists in another order each time."""

    backend = _ListsInAnyOrder


class _WholeSeconds(InMemoryBackend):
    def _expiry(self, ttl: float | None) -> float:
        return float(math.ceil(super()._expiry(ttl)))


class WholeSeconds(InMemoryHarness):
    """Rounds the moment of expiry up to a whole second."""

    backend = _WholeSeconds


class _Slow(InMemoryBackend):
    async def request(self, work: Callable[[Rows], Result]) -> Result:
        await asyncio.sleep(0.005)
        return await super().request(work)


class Slow(InMemoryHarness):
    """Takes five milliseconds to answer."""

    backend = _Slow


class _EvictsAtOnce(InMemoryBackend):
    async def request(self, work: Callable[[Rows], Result]) -> Result:
        def evict(rows: Rows) -> None:
            for name in [name for name in rows if not self.live(rows, name)]:
                del rows[name]

        await super().request(evict)
        return await super().request(work)


class EvictsAtOnce(InMemoryHarness):
    """Removes expired sessions before every call."""

    backend = _EvictsAtOnce


class _FindsNothingUnderOddNames(InMemoryBackend):
    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except InvalidSessionError:
            if identity and session_id and max(len(identity), len(session_id)) > LONGEST_NAME:
                return None
            raise


class FindsNothingUnderOddNames(InMemoryHarness):
    """Reads a name that is too long as an unknown one, as LC-9 allows."""

    backend = _FindsNothingUnderOddNames


class Incapable(InMemoryHarness):
    """Declares no capability: no key, no clock, no access to what is stored."""

    capabilities = frozenset()
    time_limit: ClassVar[float] = 1.0  # type: ignore[misc]


class _OneHandleAtATime(InMemoryBackend):
    async def init(self) -> None:
        holder = vars(self.store).get("holder", self)
        if holder is not self:
            raise StorageUnavailableError("another handle holds the store; disconnect it first")
        await super().init()
        vars(self.store)["holder"] = self

    async def disconnect(self) -> None:
        if vars(self.store).get("holder") is self:
            del vars(self.store)["holder"]
        await super().disconnect()


class OneHandleAtATime(InMemoryHarness):
    """Allows one open handle at a time, as an embedded database that locks its file."""

    backend = _OneHandleAtATime
    capabilities = InMemoryHarness.capabilities - {Capability.SHARED}


class _FloatsForIntegers(InMemoryBackend):
    def shown(self, record: Record) -> SessionData:
        def change(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: change(item) for key, item in reversed(list(value.items()))}
            if isinstance(value, list):
                return [change(item) for item in value]
            return float(value) if type(value) is int else value

        session = super().shown(record)
        objects = {field: change(getattr(session, field)) for field in ("tokens", "client_information", "headers")}
        return session.model_copy(update=objects)


class FloatsForIntegers(InMemoryHarness):
    """Has one kind of number, and its own order of keys in objects."""

    backend = _FloatsForIntegers


class _Exists(SessionExistsError, KeyError):
    """An error of the author's own."""


class _Missing(SessionNotFoundError):
    """Another."""


class _RaisesItsOwn(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except SessionExistsError as error:
            raise _Exists("taken") from error

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        try:
            await super().update_session(identity, session_id, changes, ttl)
        except SessionNotFoundError as error:
            raise _Missing("gone") from error


class RaisesItsOwn(InMemoryHarness):
    """Raises its own subclasses of the contract's errors."""

    backend = _RaisesItsOwn


class GuardsItsRows(GuardedHarness):
    """Has row security, by the policies from which broken ones are made."""


class _WarnsByPython(InMemoryBackend):
    def _opened(self) -> None:
        if not self._codec.seals and not self._warned:
            warnings.warn("no encryption key is set: tokens are stored in clear", stacklevel=2)
        self._warned = True
        super()._opened()


class WarnsByPython(InMemoryHarness):
    """Says by a Python warning, and not in the log, that it has no key."""

    backend = _WarnsByPython


class _Pauses(InMemoryBackend):
    until = 0.0

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        now = asyncio.get_running_loop().time()
        if now < self.until:
            raise StorageUnavailableError("the circuit is open for a moment")
        try:
            return await super().request(work)
        except StorageUnavailableError:
            self.until = now + 0.1
            raise


class Pauses(InMemoryHarness):
    """Refuses calls for a moment after a failure."""

    backend = _Pauses


class ShowsBytes(InMemoryHarness):
    """Shows what it holds as bytes, as its driver reads it."""

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        fields = await super().stored_fields(identity, session_id)
        return {field: value.encode() if isinstance(value, str) else value for field, value in fields.items()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        await super().replace_stored_field(
            identity, session_id, field, value.decode() if isinstance(value, bytes) else value
        )


class _ReadOnly(dict[str, Any]):
    """An object that lets nobody change it."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("it is read-only")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


def _read_only(value: Any) -> Any:
    if isinstance(value, dict):
        return _ReadOnly({key: _read_only(item) for key, item in value.items()})
    return [_read_only(item) for item in value] if isinstance(value, list) else value


class _HandsOutReadOnly(InMemoryBackend):
    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        objects = {field: _read_only(getattr(session, field)) for field in ("tokens", "client_information", "headers")}
        return session.model_copy(update=objects)


class HandsOutReadOnly(InMemoryHarness):
    """Hands out objects that refuse to be changed."""

    backend = _HandsOutReadOnly


class _TakesTtlByName(InMemoryBackend):
    async def create_session(self, session: SessionData, *, ttl: float | None = None) -> None:  # type: ignore[override]
        await super().create_session(session, ttl)

    async def update_session(  # type: ignore[override]
        self, identity: str, session_id: str, changes: SessionUpdate, *, ttl: float | None = None
    ) -> None:
        await super().update_session(identity, session_id, changes, ttl)


class TakesTtlByName(InMemoryHarness):
    """Takes the TTL by keyword only."""

    backend = _TakesTtlByName


class _WarnsOfItsKeys(InMemoryBackend):
    def _opened(self) -> None:
        if not self._warned:
            logger.warning("no service key is set: the store is used with the anonymous key")
            logger.warning("cleared 3 stale locks")
        super()._opened()
        self._warned = True


class WarnsOfItsKeys(InMemoryHarness):
    """Warns of its database's key and of what it cleared, in addition to the warning that the contract asks for."""

    backend = _WarnsOfItsKeys


class _KeepsACopy(JsonStore):
    def save(self, rows: Rows) -> None:
        replace(self.path.with_name("copy.json"), self.text(rows))
        super().save(rows)


class KeepsACopy(JsonStoreHarness):
    """Writes a copy next to its file and never reads it: damage to it costs nothing."""

    store = _KeepsACopy


class _Versioned(SessionData):
    """A session with a column of the store's own."""

    version: int = 1


class _HandsOutItsOwnKind(InMemoryBackend):
    def shown(self, record: Record) -> SessionData:
        return _Versioned(**vars(super().shown(record)))


class HandsOutItsOwnKind(InMemoryHarness):
    """Has its own session class, with a version in addition to the contract's fields."""

    backend = _HandsOutItsOwnKind
