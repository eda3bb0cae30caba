"""An opened store, and the sessions that the benchmark creates in it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reference_backends import SessionData

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.clock import ObservedTime, SuiteClock
    from reference_backends import StorageBackend

FEW, MANY = 10, 1000
"""The sessions of the two identities that are listed."""
AT_ONCE = 16
"""How many calls run at the same time when the benchmark prepares or removes sessions."""
BATCH = 5 * AT_ONCE
"""How many sessions are created between two looks at the time."""
OF_ANOTHER = 5
"""The sessions of each identity that only fills the store."""
LIFETIME = 1.0
"""TTL in seconds of the sessions that ``cleanup`` removes."""
TYPICAL = SessionData(
    session_id="session",
    identity="identity",
    server_name="Example",
    server_url="https://mcp.example/sse",
    transport_type="streamable_http",
    callback_url="https://app.example/oauth/callback",
    created_at=1_800_000_000_000,
    active=True,
    headers={"X-Request-Source": "h" * 40},
    tokens={
        "access_token": "a" * 180,
        "refresh_token": "r" * 90,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "read write",
    },
)


class Subject:
    """Names start with a random token, so that the sessions of others in a shared store are never touched."""

    def __init__(self, backend: StorageBackend, clock: SuiteClock | ObservedTime) -> None:
        self.backend = backend
        self.clock = clock
        self.token = f"mcp-bench-{secrets.token_hex(4)}"
        self.few = [self.session("few", number) for number in range(FEW)]
        self.many = [self.session("many", number) for number in range(MANY)]
        self.others = 0
        """How many sessions of others the store has been filled with."""
        self._created: set[tuple[str, str]] = set()
        self._number = 0

    def session(self, identity: str, number: int) -> SessionData:
        """Return a session of typical size."""
        names = {"identity": f"{self.token}-{identity}", "session_id": f"{self.token}-{identity}-{number}"}
        return TYPICAL.model_copy(update=names)  # the names are valid: validation would cost more than some stores

    def fresh(self, count: int) -> list[SessionData]:
        """Return sessions with names that were not used before."""
        first, self._number = self._number, self._number + count
        return [self.session("new", first + number) for number in range(count)]

    def next_others(self, count: int) -> list[SessionData]:
        """Return the next sessions of other identities."""
        return [
            self.session(f"other{number // OF_ANOTHER}", number) for number in range(self.others, self.others + count)
        ]

    async def create(self, session: SessionData, ttl: float | None = None) -> None:
        """Create a session, which ``clear`` removes."""
        self._created.add((session.identity, session.session_id))
        await self.backend.create_session(session, ttl)

    async def create_all(self, sessions: Iterable[SessionData], ttl: float | None = None) -> None:
        """Create sessions, several at once."""
        left = iter(sessions)

        async def caller() -> None:
            for session in left:
                await self.create(session, ttl)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))

    async def create_within(self, sessions: Sequence[SessionData], seconds: float) -> int:
        """Create sessions until the time is over; return how many."""
        end, done = time.monotonic() + seconds, 0
        while done < len(sessions) and time.monotonic() < end:
            await self.create_all(sessions[done : done + BATCH])
            done = min(done + BATCH, len(sessions))
        return done

    async def fill(self, size: int, seconds: float) -> None:
        """Create sessions of others until there are ``size``, or until the time is over."""
        end = time.monotonic() + seconds
        while self.others < size and time.monotonic() < end:
            sessions = self.next_others(min(BATCH, size - self.others))
            await self.create_all(sessions)
            self.others += len(sessions)

    @property
    def left(self) -> int:
        """How many of the sessions that the benchmark created were not removed."""
        return len(self._created)

    def forget(self, sessions: Iterable[SessionData]) -> None:
        """Note that these sessions are removed or expired."""
        self._created.difference_update((session.identity, session.session_id) for session in sessions)

    async def remove_all(self, sessions: Iterable[SessionData]) -> None:
        """Remove sessions, several at once."""
        await self._remove({(session.identity, session.session_id) for session in sessions})

    async def clear(self) -> None:
        """Remove every session that the benchmark created."""
        await self._remove(set(self._created))

    async def _remove(self, names: set[tuple[str, str]]) -> None:
        left = iter(names)

        async def caller() -> None:
            for identity, session_id in left:
                await self.backend.remove_session(identity, session_id)
                self._created.discard((identity, session_id))

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
