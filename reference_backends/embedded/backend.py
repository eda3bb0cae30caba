"""Base of the stores that run inside this process: a synchronous engine on a separate thread."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, Unpack

from reference_backends.core.base import BackendOptions, BaseBackend, exists_already, not_live
from reference_backends.core.errors import StorageError
from reference_backends.core.record import Record
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session
from reference_backends.embedded.worker import STORE_TIME_LIMIT, Scopes, Worker

COMPACTING_TIME_LIMIT = 3600.0
"""Seconds that ``compact`` may take to rewrite the files."""

DefaultExpiry = Callable[[], int]
"""Returns the expiry, in ms since the epoch, for a row that has none."""


class Engine(Scopes, Protocol):
    """Records on a disk, used by one thread. ``now`` and ``expires_at`` are in ms since the epoch.

    All methods except ``open``, ``close`` and ``compact`` are called inside ``reading()``, or inside ``writing()`` if
    they change something. A method that changes a record does so in one last step or not at all.
    """

    def open(self) -> None:
        """Create the store if it is missing, else check it. If it is open already, check that it can be reached."""

    def find(self, identity: str, session_id: str, now: int) -> Record | None:
        """Return the live record, or ``None``."""

    def find_all(self, identity: str, now: int) -> list[Record]:
        """Return the live records of an identity."""
        ...

    def ids_of(self, identity: str, now: int) -> list[str]:
        """Return the session ids of an identity's live records."""
        ...

    def names(self, now: int) -> list[tuple[str, str]]:
        """Return identity and session id of every live record."""
        ...

    def insert(self, record: Record, expires_at: int, now: int) -> bool:
        """Store a new record. Return False if there is a live one with its id."""
        ...

    def replace(self, record: Record, expires_at: int) -> None:
        """Replace the record that ``find`` returned in this ``writing()``."""

    def rewrite(self, record: Record) -> None:
        """Replace the record that ``find`` returned in this ``writing()``, and keep its expiry."""

    def delete(self, identity: str, session_id: str) -> None:
        """Delete one record, live or not."""

    def delete_all(self) -> None:
        """Delete every record."""

    def delete_expired(self, now: int) -> None:
        """Delete every expired record."""

    def compact(self) -> None:
        """Rewrite the files, so that they hold only what is stored now. Call it outside both scopes."""


class _Service(NamedTuple):
    """An engine and its thread, from ``init`` to ``disconnect``."""

    engine: Engine
    worker: Worker
    release: weakref.finalize[..., Any]
    """Ends the worker if the handle is garbage-collected without ``disconnect``."""

    @classmethod
    def start(cls, engine: Engine, handle: BaseBackend) -> _Service:
        worker = Worker(engine, f"mcp-storage {handle.label}")
        release = weakref.finalize(handle, worker.end)
        release.atexit = False
        return cls(engine, worker, release)


class EmbeddedStorage(BaseBackend):
    """Base of the file and the SQLite store. Calls run on the handle's thread and do not block the event loop.

    Several event loops and threads may use a handle at the same time. A cancelled write is done completely or not at
    all.
    """

    def __init__(self, build: Callable[[DefaultExpiry], Engine], **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        clock, lifetime = self._clock, self._default_ttl  # not ``self``: the engine must not reference the handle
        self._build = partial(build, lambda: math.ceil((clock() + lifetime) * 1000))
        self._serving: _Service | None = None
        self._guard = threading.Lock()
        self._opening = 0
        """Number of running calls of ``init``."""

    async def init(self) -> None:
        with self._guard:
            if self._serving is None:
                self._serving = _Service.start(self._build(), self)
            service = self._serving
            self._opening += 1
        try:
            try:
                await service.worker.open(service.engine.open)
            finally:
                with self._guard:
                    self._opening -= 1
        except Exception:
            if not (self._open or self._opening):  # else another init() has succeeded or is still running
                await self._end(service)
            raise
        if self._serving is not service:
            raise StorageError(f"this {self.label} store was disconnected during init(); await init() again")
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        record = self._codec.record(check_session(session))
        expires_at, now = self._expiry_ms(ttl), self._now_ms()
        engine, worker = self._service()
        if not await worker.write(lambda: engine.insert(record, expires_at, now)):
            raise exists_already(record["session_id"])

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named = check_changes(changes)
        expires_at, now = self._expiry_ms(ttl), self._now_ms()
        engine, worker = self._service()

        def update() -> None:
            record = engine.find(identity, session_id, now)
            if record is None:
                raise not_live(session_id)
            engine.replace(self._codec.updated(record, named), expires_at)

        await worker.write(update)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        now = self._now_ms()
        engine, worker = self._service()

        def get() -> SessionData | None:
            record = engine.find(identity, session_id, now)
            return None if record is None else self._codec.session(record)

        return await worker.read(get)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        identity = check_identity(identity)
        now = self._now_ms()
        engine, worker = self._service()
        return await worker.read(
            lambda: [self._codec.session(record) for record in engine.find_all(identity, now)], STORE_TIME_LIMIT
        )

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        identity = check_identity(identity)
        now = self._now_ms()
        engine, worker = self._service()
        return await worker.read(lambda: engine.ids_of(identity, now), STORE_TIME_LIMIT)

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        engine, worker = self._service()
        await worker.write(lambda: engine.delete(identity, session_id))

    async def get_all_session_ids(self) -> list[str]:
        return [session_id for _, session_id in await self.session_names()]

    async def clear_all(self) -> None:
        engine, worker = self._service()
        await worker.write(engine.delete_all, STORE_TIME_LIMIT)

    async def cleanup_expired_sessions(self) -> None:
        now = self._now_ms()
        engine, worker = self._service()
        await worker.write(lambda: engine.delete_expired(now), STORE_TIME_LIMIT)

    async def session_names(self) -> list[tuple[str, str]]:
        """Return identity and session id of every live session."""
        now = self._now_ms()
        engine, worker = self._service()
        return await worker.read(lambda: engine.names(now), STORE_TIME_LIMIT)

    async def reseal_session(self, identity: str, session_id: str, *, dry_run: bool = False) -> bool | None:
        """Seal a session's secrets under the first key and keep its expiry, in one step; see ``Resealable``."""
        now = self._now_ms()
        engine, worker = self._service()

        def reseal() -> bool | None:
            record = engine.find(identity, session_id, now)
            if record is None:
                return None
            fresh = self._codec.resealed(record)
            if fresh is not record and not dry_run:
                engine.rewrite(fresh)
            return fresh is not record

        return await (worker.read if dry_run else worker.write)(reseal, STORE_TIME_LIMIT)

    async def compact(self) -> str:
        """Rewrite the store's files, so that they hold no replaced or removed values."""
        engine, worker = self._service()
        await worker.open(engine.compact, COMPACTING_TIME_LIMIT)
        return ""

    async def disconnect(self) -> None:
        service = self._serving
        if service is not None:
            await self._end(service)

    def _service(self) -> tuple[Engine, Worker]:
        service = self._serving
        if service is None or not self._open:
            raise self._not_open()
        return service.engine, service.worker

    async def _end(self, service: _Service) -> None:
        with self._guard:
            if self._serving is service:
                self._serving = None
                self._closed()
        service.release.detach()
        await service.worker.close()
