"""A walk along a path that secrets take: a store, handles on it, and sessions with canaries in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.log_capture import LogCapture
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import SessionData


class Walk:
    """A separate store, handles on it, and sessions with canaries, which are remembered as ``sealed``.

    ``keys``: the one of the handles and a newer one; none if the store takes none.
    """

    def __init__(
        self,
        context: TestContext,
        harness: BackendHarness,
        handles: Sequence[RecordingBackend],
        keys: Sequence[str],
        template: SessionData,
        canaries: Canaries,
        captured: LogCapture,
    ) -> None:
        self.context = context
        self.harness = harness
        self.handles = handles
        self.keys = keys
        self.template = template
        self.canaries = canaries
        self.captured = captured
        self.sealed: list[SessionData] = []
        self._count = 0

    @property
    def store(self) -> RecordingBackend:
        """The first handle."""
        return self.handles[0]

    def session(self, of: str, **fields: Any) -> SessionData:
        """Return a session with canaries and a name that no other has. ``of``: what a finding calls it."""
        self._count += 1
        names = {"session_id": self.context.session_id(f"p{self._count}")}
        made = self.template.model_copy(update={**FILLED, **names, **self.canaries.credentials(of), **fields})
        self.sealed.append(made)
        return made

    def secrets(self, of: str, size: int = 0) -> dict[str, Any]:
        """Return tokens and headers with new canaries, and ``size`` characters next to them in each."""
        made = self.canaries.credentials(of, padding="read write " * (size // 11))
        if size:
            made["headers"]["X-Large"] = "read write " * (size // 11) + self.canaries.secret(f"a large header of {of}")
        return made

    async def call(self, what: str, method: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Make a call; return its result or the exception, and keep what that shows."""
        got = await outcome_of(method(*arguments))
        self.captured.take(what, got)
        return got

    async def create(self, of: str, **fields: Any) -> SessionData:
        """Create a session with canaries."""
        made = self.session(of, **fields)
        await self.call(f"a create of {of}", self.store.create_session, made)
        return made

    async def update(self, session: SessionData, changes: dict[str, Any], ttl: float | None = None, by: int = 0) -> Any:
        """Update the session by the handle of that number."""
        handle = self.handles[by % len(self.handles)]
        return await self.call("an update", handle.update_session, *named(session), changes, ttl)

    async def read(self, session: SessionData) -> None:
        """Read the session by every handle."""
        for handle in self.handles:
            await self.call("a read", handle.get_session, *named(session))
            await self.call("a listing", handle.get_identity_sessions_data, session.identity)


def named(session: SessionData) -> tuple[str, str]:
    """Return identity and session id."""
    return session.identity, session.session_id
