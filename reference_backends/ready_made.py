"""A store that chooses its backend at its first call, for whoever just imports it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from reference_backends.handle import new_session_id
from reference_backends.own_loop import OwnLoop
from reference_backends.protocol import StorageBackend
from reference_backends.session import SessionData, SessionUpdate

Answer = TypeVar("Answer")


class ReadyMadeStorage(StorageBackend):
    """A :class:`StorageBackend` around the one that ``choose`` makes, initialised, when the first call comes.

    It may be called from several threads and event loops, one after another or at once: every call is run on one
    event loop, on a thread that this object owns, so that all of them share one backend and its connections. Where
    ``choose`` raises, so does the call, and the next one chooses again. After a fork the child chooses for itself.
    ``disconnect`` keeps the choice; ``init`` opens it again.
    """

    def __init__(self, choose: Callable[[], Awaitable[StorageBackend]]) -> None:
        self._choose = choose
        self._inherited: list[object] = []
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_again)

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
        """Let go of the store, where one was chosen."""
        if self._backend is not None:
            await self._ask(lambda backend: backend.disconnect())

    def _begin(self) -> None:
        self._backend: StorageBackend | None = None
        self._choosing = asyncio.Lock()
        self._loop = OwnLoop(self._farewell)

    def _begin_again(self) -> None:
        """In a child: what the parent opened is left as it is, and alive: its end would reach the parent's servers."""
        self._inherited += (self._backend, self._loop)
        self._begin()

    async def _ask(self, call: Callable[[StorageBackend], Coroutine[Any, Any, Answer]]) -> Answer:
        async def asked() -> Answer:
            return await call(self._backend or await self._chosen())

        return await self._loop.answer(asked)

    async def _chosen(self) -> StorageBackend:
        async with self._choosing:
            if self._backend is None:
                self._backend = await self._choose()
            return self._backend

    async def _farewell(self) -> None:
        if self._backend is not None:
            await self._backend.disconnect()
