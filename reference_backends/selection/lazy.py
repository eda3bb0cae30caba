"""A store that chooses its backend at its first call, so that code can simply import it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from reference_backends.core.base import new_session_id
from reference_backends.core.loop_thread import LoopThread
from reference_backends.core.protocol import StorageBackend
from reference_backends.core.session import SessionData, SessionUpdate

Result = TypeVar("Result")


class LazyStorage(StorageBackend):
    """A :class:`StorageBackend` that passes calls to another one. The first call awaits ``choose`` to get that one.

    ``choose`` returns an initialised backend. Several threads and event loops may call this object, also at the same
    time: every call runs on one event loop, on a thread that this object owns, so all callers share one backend and
    its connections. If ``choose`` raises, the call raises the same error, and the next call chooses again. Each
    process chooses separately, also a child of a fork. ``disconnect`` keeps the choice; ``init`` opens it again.
    """

    def __init__(self, choose: Callable[[], Awaitable[StorageBackend]]) -> None:
        self._choose = choose
        # A child keeps the choice of its parent but never closes it: that would end the parent's connections.
        self._by_process: dict[int, _Chosen] = {}

    async def init(self) -> None:
        await self._ask(lambda backend: backend.init())

    def generate_session_id(self) -> str:
        return new_session_id()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await self._ask(lambda backend: backend.create_session(session, ttl))

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        await self._ask(lambda backend: backend.update_session(identity, session_id, changes, ttl))

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return await self._ask(lambda backend: backend.get_session(identity, session_id))

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return await self._ask(lambda backend: backend.get_identity_sessions_data(identity))

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return await self._ask(lambda backend: backend.get_identity_mcp_sessions(identity))

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self._ask(lambda backend: backend.remove_session(identity, session_id))

    async def get_all_session_ids(self) -> list[str]:
        return await self._ask(lambda backend: backend.get_all_session_ids())

    async def clear_all(self) -> None:
        await self._ask(lambda backend: backend.clear_all())

    async def cleanup_expired_sessions(self) -> None:
        await self._ask(lambda backend: backend.cleanup_expired_sessions())

    async def disconnect(self) -> None:
        """Disconnect the store, if one was chosen."""
        if self._chosen_here.backend is not None:
            await self._ask(lambda backend: backend.disconnect())

    @property
    def _chosen_here(self) -> _Chosen:
        process = os.getpid()
        return self._by_process.get(process) or self._by_process.setdefault(process, _Chosen(self._choose))

    async def _ask(self, call: Callable[[StorageBackend], Coroutine[Any, Any, Result]]) -> Result:
        return await self._chosen_here.ask(call)


class _Chosen:
    """The backend that one process has chosen, and the event loop that it runs on."""

    def __init__(self, choose: Callable[[], Awaitable[StorageBackend]]) -> None:
        self.backend: StorageBackend | None = None
        self._choose = choose
        self._choosing = asyncio.Lock()
        self._loop = LoopThread(self._end)

    async def ask(self, call: Callable[[StorageBackend], Coroutine[Any, Any, Result]]) -> Result:
        async def asked() -> Result:
            return await call(self.backend or await self._chosen())

        return await self._loop.run(asked)

    async def _chosen(self) -> StorageBackend:
        async with self._choosing:
            if self.backend is None:
                self.backend = await self._choose()
            return self.backend

    async def _end(self) -> None:
        if self.backend is not None:
            await self.backend.disconnect()
