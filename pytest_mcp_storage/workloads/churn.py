"""Listings of an identity whose other sessions come and go meanwhile (CO-6)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import ids_of
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.callers import all_at_once
from reference_backends import SessionData

SHOULD = "show each session that was live throughout once, and no session that was not live during the listing"
WRITERS = 4
EACH = 6
"""Each writer creates this many sessions while others are removed, and as many while none is."""
SHARE = 4
"""Of this many sessions one is removed or expires while the listings run."""
MOST = 1_100
"""Sessions at the start: more than a page of the usual databases."""


@dataclass
class Lifespan:
    """From when to when a session may have been live, in nanoseconds; 0: from the beginning, or no end so far."""

    creating: int = 0
    created: int = 0
    removing: int = 0
    removed: int = 0

    def may_be_listed(self, start: int, end: int) -> bool:
        """Say whether it may have been live at some moment of a listing."""
        return self.creating <= end and not (self.removed and self.removed < start)

    def must_be_listed(self, start: int, end: int) -> bool:
        """Say whether it was live throughout."""
        return bool(self.created) and self.created <= start and not (self.removing and self.removing <= end)


class Churn:
    """The sessions of one identity, and when each was live."""

    def __init__(self, context: TestContext, store: RecordingBackend, session: SessionData) -> None:
        self.context = context
        self.store = store
        self.session = session
        self.lifespans: dict[str, Lifespan] = {}
        self._to_remove: list[SessionData] = []
        self._expiring: list[str] = []
        self._ended = False

    async def run(self, lister: RecordingBackend, reads: Sequence[str]) -> None:
        """Call each of the listings repeatedly while sessions come and go. Raise :class:`Violation`."""
        await self._begin()
        await all_at_once([self._list(lister, reads), self._all_writes()])

    async def _begin(self) -> None:
        count = self.context.constants.past_each_page(self.context.tier.clearing, MOST)
        many = await create_many(self.context, self.store, self.session, count)
        self._to_remove = many[1::SHARE]
        for each in many:
            self.lifespans[each.session_id] = Lifespan(created=1)
        if self.context.can(Capability.CLOCK):
            for each in self._to_remove[::2]:
                await self.store.backend.update_session(each.identity, each.session_id, {}, ttl=60)
                self._expiring.append(each.session_id)
            self._to_remove = self._to_remove[1::2]

    async def _list(self, lister: RecordingBackend, reads: Sequence[str]) -> None:
        while True:
            last = self._ended
            for read in reads:
                start = time.monotonic_ns()
                call = getattr(lister.backend, read)
                shown = await (call() if read == "get_all_session_ids" else call(self.session.identity))
                self._judge(read, start, time.monotonic_ns(), shown)
            if last:
                return
            await asyncio.sleep(0)

    def _judge(self, read: str, start: int, end: int, shown: list[object]) -> None:
        ids = Counter(ids_of(shown))
        while_others = f"{read} while other sessions came and went"
        for session_id, lifespan in self.lifespans.items():
            count = ids.pop(session_id, 0)
            if count > 1:
                raise Violation(f"{while_others} showed {session_id!r} {count} times", should=SHOULD)
            if count and not lifespan.may_be_listed(start, end):
                raise Violation(f"{while_others} showed {session_id!r}, which was not live", should=SHOULD)
            if not count and lifespan.must_be_listed(start, end):
                raise Violation(f"{while_others} did not show {session_id!r}, which was live", should=SHOULD)
        if ids and read != "get_all_session_ids":
            raise Violation(f"{while_others} showed {next(iter(ids))!r}, which nobody created", should=SHOULD)

    async def _all_writes(self) -> None:
        try:
            await all_at_once([self._write(number) for number in range(WRITERS)])
        finally:
            self._ended = True

    async def _write(self, number: int) -> None:
        """Remove sessions and create others in turn, let those with an end expire, and then only create."""
        for created in range(EACH):
            await self._create(f"{'az'[created % 2]} {number}.{created}")
            if self._to_remove:
                await self._remove(self._to_remove.pop(0))
            if number == 0 and created == EACH // 2 and self._expiring:
                await self._expire()
        while self._to_remove:
            await self._remove(self._to_remove.pop(0))
        for created in range(EACH, 2 * EACH):
            await self._create(f"{'az'[created % 2]} {number}.{created}")

    async def _create(self, name: str) -> None:
        new = self.session.model_copy(update={"session_id": self.context.session_id(name)})
        self.context.remember([new])
        lifespan = self.lifespans[new.session_id] = Lifespan(creating=time.monotonic_ns())
        await self.store.backend.create_session(new)
        lifespan.created = time.monotonic_ns()

    async def _remove(self, session: SessionData) -> None:
        lifespan = self.lifespans[session.session_id]
        lifespan.removing = time.monotonic_ns()
        await self.store.backend.remove_session(session.identity, session.session_id)
        lifespan.removed = time.monotonic_ns()

    async def _expire(self) -> None:
        expiring, self._expiring = self._expiring, []
        for session_id in expiring:
            self.lifespans[session_id].removing = time.monotonic_ns()
        await self.context.pass_time(60 + ROUNDING)
        for session_id in expiring:
            self.lifespans[session_id].removed = time.monotonic_ns()
