"""Remove what the examples of a test wrote. Errors here do not count against the clause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.recording import LONGEST_CALL, History, RecordingBackend
from pytest_mcp_storage.engine.renamed_sessions import names_in, remove_renamed
from pytest_mcp_storage.engine.timeouts import Overdue, ended
from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import SessionData


class Cleanup:
    """Removes the sessions of one test. ``process``: what the names contain on a store that may hold others' data."""

    def __init__(self, environment: Environment, process: str) -> None:
        self.environment = environment
        self.process = process
        self.time_limit = LONGEST_CALL
        """Seconds that each call gets."""
        self.unrecorded: list[SessionData] = []
        """Sessions that were written without the recording."""

    async def remove_sessions(
        self,
        handles: Sequence[RecordingBackend],
        histories: Sequence[History],
        open_handle: Callable[[], Awaitable[object]],
    ) -> str:
        """Remove what was written; return a note about what is left, or an empty text.

        ``open_handle`` adds a handle to ``handles``: it is called if only other processes wrote.
        """
        if self.environment.harness.dedicated:
            if handles:
                await self.attempt(handles[-1].backend.init)
                await self.attempt(handles[-1].backend.clear_all)
            return ""
        written = self._written(histories)
        if not handles and written:
            await self.attempt(open_handle)
        if not handles:
            return ""
        backend = handles[-1].backend
        await self.attempt(backend.init)
        for name in written:
            await self.attempt(backend.remove_session, *name)
        if self.environment.hung:
            return ""
        results = [call.result for history in histories for call in history.calls()]
        left = await remove_renamed(backend, self.attempt, written, names_in(results), self.process)
        if not left:
            return ""
        count = f"{len(left)} sessions of this test are left in the store, such as {short_repr(left[0])}"
        return f"{count}: the store keeps them under names that they were not written under"

    async def attempt(self, call: Callable[..., Awaitable[object]], *arguments: str) -> None:
        """Call the store and ignore its result, unless it has hung before; the environment learns if it hangs."""
        if self.environment.hung:
            return
        try:
            await ended("the end", call, *arguments, limit=self.time_limit)
        except Overdue:
            self.environment.hung = True

    def _written(self, histories: Sequence[History]) -> set[tuple[str, str]]:
        recorded = (
            call.arguments[0] for history in histories for call in history.calls() if call.method == "create_session"
        )
        created = (each for each in recorded if isinstance(each, SessionData))
        return {(each.identity, each.session_id) for each in (*created, *self.unrecorded)}
