"""A correct store in this process's memory, behind a round trip, from which broken ones are made."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, Unpack

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import (
    Clock,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SessionUpdate,
    StorageSetupError,
    StorageUnavailableError,
)
from reference_backends.core.base import BackendOptions, BaseBackend
from reference_backends.core.record import Record
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session


class Row(NamedTuple):
    """A record, and the moment in seconds since the epoch at which it expires."""

    record: Record
    expires_at: float


Rows = MutableMapping[SessionKey, Row]
How = Literal["refused", "lost", "late", "conflict"]
LATE = 0.005
"""Seconds by which an answer is late."""
Result = TypeVar("Result")


class InMemoryStore:
    """The rows. The store can be cut off, or made to lose its answers."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.state: Literal["ready", "missing", "old"] = "ready"
        self.cut = False
        self.loses_answers = False
        self.failing: tuple[int, How] | None = None
        """Which of the next requests fails, and how."""
        self.rng = random.Random(1)

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        """Make one round trip: other callers can run before and after the work, never during it.

        Raises ``ConnectionError`` if the store can't be reached, or if the answer is lost.
        """
        fault = self._fault()
        await self.pause()
        if self.cut or fault == "refused":
            raise ConnectionRefusedError("the store is cut off")
        if fault == "conflict":
            raise ConnectionAbortedError("another change came first")
        try:
            return self.done(work)
        finally:
            await self.pause()
            if fault == "late":
                await asyncio.sleep(LATE)
            if self.loses_answers or fault == "lost":
                raise ConnectionResetError("the answer was lost")

    def _fault(self) -> How | None:
        """Return what happens to the request that begins now."""
        if self.failing is None:
            return None
        left, how = self.failing
        self.failing = (left - 1, how) if left > 1 else None
        return how if left == 1 else None

    async def pause(self) -> None:
        """Wait for one direction of the round trip, with a random delay, so that requests overtake each other."""
        for _ in range(self.rng.choice((1, 1, 1, 2, 4))):
            await asyncio.sleep(0)

    def done(self, work: Callable[[Rows], Result]) -> Result:
        """Do the work on the rows."""
        return work(self.rows)

    def leave(self) -> None:
        """Note that a handle needs the store no longer."""


class InMemoryBackend(BaseBackend):
    """A correct :class:`StorageBackend`: each call is one round trip."""

    label = "store"

    def __init__(self, store: InMemoryStore, **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        self.store = store

    async def init(self) -> None:
        await self.request(lambda rows: self.check())
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        row = Row(self.kept(check_session(session)), self._expiry(ttl))

        def insert(rows: Rows) -> None:
            name = self.key(session.identity, session.session_id)
            if self.live(rows, name):
                raise SessionExistsError("that session exists already")
            rows[name] = row

        await self.call(insert)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        name = self.key(*check_names(identity, session_id))
        named, expires_at = check_changes(changes), self._expiry(ttl)

        def change(rows: Rows) -> None:
            row = self.live(rows, name)
            if row is None:
                raise SessionNotFoundError("there is no such session")
            rows[name] = Row(self.merged(row.record, named), expires_at)

        await self.call(change)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        name = self.key(*check_names(identity, session_id))
        row = await self.call(lambda rows: self.live(rows, name))
        return None if row is None else self.shown(row.record)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        rows = await self.call(lambda rows: self.of(rows, check_identity(identity)))
        return [self.shown(row.record) for row in rows.values()]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return list(await self.call(lambda rows: self.of(rows, check_identity(identity))))

    async def remove_session(self, identity: str, session_id: str) -> None:
        name = self.key(*check_names(identity, session_id))
        await self.call(lambda rows: rows.pop(name, None))

    async def get_all_session_ids(self) -> list[str]:
        return await self.call(
            lambda rows: [row.record["session_id"] for name, row in rows.items() if self.live(rows, name)]
        )

    async def clear_all(self) -> None:
        await self.call(lambda rows: rows.clear())

    async def cleanup_expired_sessions(self) -> None:
        def remove(rows: Rows) -> None:
            for name in [name for name in rows if not self.live(rows, name)]:
                del rows[name]

        await self.call(remove)

    async def disconnect(self) -> None:
        self._open = False
        self.store.leave()

    async def call(self, work: Callable[[Rows], Result]) -> Result:
        """Send a request of an open handle."""
        self._require_open()
        return await self.request(work)

    async def request(self, work: Callable[[Rows], Result]) -> Result:
        """Make a round trip, and raise its failures as storage errors."""
        try:
            return await self.store.request(work)
        except ConnectionError as error:
            raise StorageUnavailableError("the store did not answer; try again") from error

    def check(self) -> None:
        """Refuse a store that is not set up."""
        if self.store.state != "ready":
            raise StorageSetupError(f"the table is {self.store.state}; run `store setup`")

    def key(self, identity: str, session_id: str) -> SessionKey:
        """Return the key of the row."""
        return identity, session_id

    def kept(self, session: SessionData) -> Record:
        """Return what is stored of a new session."""
        return self._codec.record(session)

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        """Return what is stored after an update."""
        return self._codec.updated(record, named)

    def shown(self, record: Record) -> SessionData:
        """Return the session that a record holds."""
        return self._codec.session(record)

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        """Return the row if it has not expired."""
        row = rows.get(name)
        return row if row is not None and self._clock() < row.expires_at else None

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        """Return an identity's live rows by session id."""
        return {
            row.record["session_id"]: row
            for name, row in rows.items()
            if row.record["identity"] == identity and self.live(rows, name)
        }


class InMemoryHarness(BackendHarness):
    """Drives a kind of :class:`InMemoryBackend`."""

    name: ClassVar[str] = "store"
    breaks: ClassVar[str] = ""
    """The clause that catches this store; none catches the correct one."""
    backend: ClassVar[type[InMemoryBackend]] = InMemoryBackend
    time_limit = 4.0  # a busy machine took more than a second for what is immediate on an idle one
    capabilities = frozenset(
        {
            Capability.KEY,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.CLOCK,
            Capability.DEFAULT_TTL,
            Capability.AT_REST,
            Capability.OUTAGE,
            Capability.LOST_ANSWER,
            Capability.FAIL_STEP,
            Capability.SETUP,
        }
    )

    def __init__(self) -> None:
        self.store = InMemoryStore()

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        backend = self.backend(self.store, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend

    async def stored_bytes(self) -> bytes:
        return json.dumps([*self.store.rows.items()]).encode()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        record = self.store.rows[identity, session_id].record
        return {field: record.get(field) for field in ("tokens", "headers", "code_verifier", "client_information")}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        row = self.store.rows[identity, session_id]
        self.store.rows[identity, session_id] = row._replace(record={**row.record, field: value})

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self.store.cut = True
        try:
            yield
        finally:
            self.store.cut = False

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        self.store.loses_answers = True
        try:
            yield
        finally:
            self.store.loses_answers = False

    @asynccontextmanager
    async def fail_request(self, k: int, how: How) -> AsyncIterator[None]:
        self.store.failing = k, how
        try:
            yield
        finally:
            self.store.failing = None

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        rows, self.store.rows, self.store.state = self.store.rows, {}, how
        try:
            yield
        finally:
            self.store.rows, self.store.state = rows, "ready"
