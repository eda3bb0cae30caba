"""A session store as it is written in a hurry. The picture of a failing run is taken of it: one mistake is in it."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.harnesses.memory import MemoryHarness
from reference_backends import MemoryStorageBackend, SessionData


class HurriedStore(MemoryStorageBackend):
    """Answers from a cache that every change updates. The cache does not know that time passes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cache: dict[tuple[str, str], SessionData] = {}

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        await super().create_session(session, ttl)
        self._cache[session.identity, session.session_id] = session.model_copy(deep=True)

    async def update_session(self, identity: str, session_id: str, changes: Any, ttl: float | None = None) -> None:
        await super().update_session(identity, session_id, changes, ttl)
        self._cache.pop((identity, session_id), None)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        if (identity, session_id) not in self._cache:
            session = await super().get_session(identity, session_id)
            if session is None:
                return None
            self._cache[identity, session_id] = session
        return self._cache[identity, session_id].model_copy(deep=True)

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        self._cache.pop((identity, session_id), None)

    async def clear_all(self) -> None:
        await super().clear_all()
        self._cache.clear()

    async def disconnect(self) -> None:
        await super().disconnect()
        self._cache.clear()


class Harness(MemoryHarness):
    """Drives it."""

    name = "hurried"

    async def open(self, **options: Any) -> HurriedStore:
        store = HurriedStore(**{name: value for name, value in options.items() if value is not None})
        await store.init()
        return store
