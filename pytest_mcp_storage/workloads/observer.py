"""An observer of every test: whatever clause it judges, what was written under a key must be sealed, with fresh IVs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import parse
from pytest_mcp_storage.canary.watcher import StoreWatcher
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.observing import Observation
from pytest_mcp_storage.oracle.generators import CREDENTIALS
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import SessionData

MOST_ROWS = 40
"""Sessions of one test whose rows are looked at."""
SLOW = 0.05
"""Seconds that the observer may take after a test."""
PAUSE = 25
"""Tests after which the IVs of a slow store are compared again."""
WRITES = ("create_session", "update_session")


class SealObserver:
    """Compares the IVs of all tests of a run, and looks at the rows that each test has left."""

    def __init__(self) -> None:
        self._watcher: StoreWatcher | None = None
        self._skip = 0

    async def __call__(self, context: TestContext) -> list[Observation]:
        """Return what a test has left in the store that breaks a clause about secrets."""
        if not (context.can(Capability.AT_REST) and context.can(Capability.KEY) and context.harness.dedicated):
            return []
        if self._watcher is None:
            self._watcher = StoreWatcher(context.harness.stored_bytes, Canaries())
        while context.environment.planted:
            self._watcher.leave_out(context.environment.planted.pop())
        await self._compare(self._watcher)
        found = []
        if self._watcher.repeated:
            found.append(Observation("EN-3", self._watcher.repeated, "use a fresh IV for every write"))
            self._watcher.repeated = ""
        if plain := await self._in_clear(context):
            found.append(Observation("MX-2", plain, "be sealed: it was written under a key only"))
        return found

    async def _compare(self, watcher: StoreWatcher) -> None:
        """Compare IVs; a store that shows its bytes slowly is asked after few of the tests."""
        self._skip -= 1
        if self._skip < 0:
            start = time.monotonic()
            await watcher.compare("among all writes of the run")
            self._skip = PAUSE if time.monotonic() - start > SLOW else 0

    async def _in_clear(self, context: TestContext) -> str:
        end = time.monotonic() + SLOW
        for identity, session_id in list(_sealed(context))[-MOST_ROWS:]:
            if time.monotonic() > end:
                break
            try:
                stored = await context.harness.stored_fields(identity, session_id)
            except LookupError:
                continue
            for field in CREDENTIALS:
                if stored.get(field) is not None and parse(stored[field]) is None:
                    return f"{field} of {session_id!r} are stored as {short_repr(stored[field], 120)}"
        return ""


def _sealed(context: TestContext) -> Iterator[tuple[str, str]]:
    """Yield the names of sessions that only handles with a key have written."""
    sealed: dict[tuple[str, str], bool] = {}
    for call in context.every_call():
        if call.method in WRITES:
            first = call.arguments[0]
            name = (first.identity, first.session_id) if isinstance(first, SessionData) else call.arguments[:2]
            sealed[name] = sealed.get(name, True) and call.sealed
    yield from (name for name, only in sealed.items() if only and name not in context.planted)
