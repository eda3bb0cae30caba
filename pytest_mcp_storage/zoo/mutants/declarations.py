"""Harnesses that declare what is not true: the clauses that rely on it would pass without a measurement."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self, Unpack

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.zoo.in_memory_store import How, InMemoryBackend, InMemoryHarness, InMemoryStore, Row, Rows
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness
from pytest_mcp_storage.zoo.mutants.row_security import GuardedHarness
from reference_backends import Clock, SessionData, StorageUnavailableError
from reference_backends.core.base import BackendOptions


class SaysShared(InMemoryHarness):
    """Opens each handle on a separate store, as a fixture does that was written for one handle."""

    breaks = "HA-1"
    capabilities = frozenset({Capability.SHARED})

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        self.store = InMemoryStore()
        return await super().open(encryption_key=encryption_key, clock=clock, default_ttl=default_ttl)


class SaysDurable(SaysShared):
    """Declares a database in memory durable, since the one in production is."""

    capabilities = frozenset({Capability.DURABLE})


class IgnoresTheClock(InMemoryHarness):
    """Takes the clock and does not pass it on: tests of expiry wait for nothing and see nothing expire."""

    breaks = "HA-1"

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        return await super().open(encryption_key=encryption_key, default_ttl=default_ttl)


class IgnoresTheDefaultTtl(InMemoryHarness):
    """Takes the default TTL and does not pass it on: the store keeps its own, and nobody sees the difference."""

    breaks = "HA-1"

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        return await super().open(encryption_key=encryption_key, clock=clock)


class _TwoClocks(InMemoryBackend):
    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(store, **options)
        self.ends: dict[SessionKey, float] = {}

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self.ends[session.identity, session.session_id] = time.time() + math.ceil(self._lifetime(ttl))

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        return super().live(rows, name) if time.time() < self.ends.get(name, math.inf) else None


class KeepsANativeTimer(InMemoryHarness):
    """Leaves expiry to the server's timers in addition to the given clock: sessions end by either."""

    breaks = "HA-1"
    backend = _TwoClocks


class DropsTheKey(InMemoryHarness):
    """Takes the key and does not pass it on: nothing is encrypted, and every handle reads everything."""

    breaks = "HA-1"

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        return await super().open(clock=clock, default_ttl=default_ttl)


class ShowsNothing(InMemoryHarness):
    """Reads a file that is no longer the store's: no secret is ever found in it."""

    breaks = "HA-1"

    async def stored_bytes(self) -> bytes:
        return b""


class ShowsSomethingElse(InMemoryHarness):
    """Shows the server's statistics, which change with every call, and hold no row."""

    breaks = "HA-1"

    async def stored_bytes(self) -> bytes:
        return f"{len(self.store.rows)} rows at {time.time_ns()}".encode()


class PlantsNowhere(InMemoryHarness):
    """Has an empty replace_stored_field, to be written later: tampering is never measured."""

    breaks = "HA-1"

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        return


class CutsNothingOff(InMemoryHarness):
    """Stops a server that the store does not use."""

    breaks = "HA-1"

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        yield


class LosesRequestsToo(InMemoryHarness):
    """Implements lost_answer as an outage: a call that is half done never occurs."""

    breaks = "HA-1"

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.outage():
            yield


class LosesNothing(InMemoryHarness):
    """Has a proxy for answers that the client does not use."""

    breaks = "HA-1"

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        yield


class KeepsItsTable(InMemoryHarness):
    """Drops a table in another schema."""

    breaks = "HA-1"

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        yield


class LosesItsTable(InMemoryHarness):
    """Drops the table and makes a new one afterwards, without what was in it."""

    breaks = "HA-1"

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        async with super().unprepared(how):
            yield
        self.store.rows = {}


class NamesAnotherFile(JsonStoreHarness):
    """Names a file next to the store's own: the suite damages that one, and the store opens."""

    breaks = "HA-1"
    capabilities = JsonStoreHarness.capabilities - {Capability.AT_REST}

    def files(self) -> Sequence[Path]:
        notes = self.path.with_name("notes.txt")
        notes.write_text("nothing of importance\n")
        return [notes]


class AttachesToAnother(JsonStoreHarness):
    """Ignores the locator and makes a new store: the process that is killed writes elsewhere."""

    breaks = "HA-1"

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return super().attach({"folder": tempfile.mkdtemp(prefix="mcp-storage-elsewhere-")})

    async def __aexit__(self, *exc: object) -> None:
        if self._attached:
            shutil.rmtree(self.path.parent)
        await super().__aexit__(*exc)


class DestroysWhatItAttachedTo(JsonStoreHarness):
    """Destroys a store that it has only attached to."""

    breaks = "HA-1"

    async def __aexit__(self, *exc: object) -> None:
        self.path.unlink(missing_ok=True)
        await super().__aexit__(*exc)


class SignsNobodyIn(GuardedHarness):
    """Gives users the service's connection: no policy is ever applied."""

    breaks = "HA-1"

    async def open_as(self, user: str | None) -> InMemoryBackend:
        return await super().open()


class WritesNoRow(GuardedHarness):
    """Has a write_row_as that fails before it reaches the table: every forbidden write seems to be refused."""

    breaks = "HA-1"

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        return


class ReturnsOneHandle(InMemoryHarness):
    """Opens a handle once and returns it every time: two handles never write at the same time."""

    breaks = "HA-1"
    capabilities = frozenset({Capability.SHARED, Capability.CLOCK})

    def __init__(self) -> None:
        super().__init__()
        self.handle: InMemoryBackend | None = None

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        if self.handle is None:
            self.handle = await super().open(clock=clock, default_ttl=default_ttl)
        await self.handle.init()
        return self.handle


class _WritesByAnotherClock(InMemoryBackend):
    def _expiry(self, ttl: float | None) -> float:
        return time.time() + self._lifetime(ttl)


class ReadsByTheClock(InMemoryHarness):
    """Uses the given clock in its reads, and the server's clock in its writes."""

    breaks = "HA-1"
    backend = _WritesByAnotherClock


class ShowsOldFields(InMemoryHarness):
    """Caches the rows that it has shown: a removed row still seems to be stored."""

    breaks = "HA-1"

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[SessionKey, Mapping[str, Any]] = {}

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        if (identity, session_id) not in self.shown:
            self.shown[identity, session_id] = await super().stored_fields(identity, session_id)
        return self.shown[identity, session_id]


class ShowsTokensAlone(InMemoryHarness):
    """Dumps one table of two: headers may be in clear in the other."""

    breaks = "HA-1"

    async def stored_bytes(self) -> bytes:
        return repr([(name, row.record.get("tokens")) for name, row in self.store.rows.items()]).encode()


class PlantsTokensAlone(InMemoryHarness):
    """Plants every value in the tokens' column, and headers have another column."""

    breaks = "HA-1"

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        if field == "tokens":
            await super().replace_stored_field(identity, session_id, field, value)


class _FailsToGet(InMemoryBackend):
    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        if vars(self.store).get("failing"):
            raise StorageUnavailableError("the store did not answer; try again")
        return await super().get_session(identity, session_id)


class CutsTheMainReadOff(InMemoryHarness):
    """Makes only the request fail that its author tried."""

    breaks = "HA-1"
    backend = _FailsToGet

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        vars(self.store)["failing"] = True
        try:
            yield
        finally:
            vars(self.store)["failing"] = False


class FailsTheRequestBefore(InMemoryHarness):
    """Counts requests from zero, so the request that is named goes through."""

    breaks = "HA-1"

    @asynccontextmanager
    async def fail_request(self, k: int, how: How) -> AsyncIterator[None]:
        async with super().fail_request(k + 1, how):
            yield
