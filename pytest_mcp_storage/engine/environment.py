"""The environment: one backend's harness, provisioned once in each process, with its time and its loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.engine.clock import ObservedTime, SuiteClock
from pytest_mcp_storage.engine.harness_checks import check_backend, check_instance
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.observing import Observer
from pytest_mcp_storage.engine.timeouts import GRACE, ended, in_time
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import SessionData

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.exercised import BranchMeter
    from pytest_mcp_storage.engine.source_constants import SourceConstants

SLOW_CALL = 0.002
"""Seconds; a store whose calls take longer gets fewer examples, so that the run does not take too long."""
FEWEST = 0.2
"""The share of the examples that even the slowest store gets."""
LONGEST_PROVISIONING = 1800.0
"""Seconds after which a harness that provisions its store has timed out; it may fetch a server first."""
LONGEST_OPENING = 60.0
"""Seconds after which the first ``open``, or a call on its handle, has timed out."""
LONGEST_END = 600.0
"""Seconds after which a harness that destroys its store has timed out."""
LONGEST_END_OF_HUNG = 5.0
"""The same limit if the store has hung before."""
LONGEST_PROBE = 4.0
"""Seconds after which a store that a test may have locked counts as unusable; lock timeouts are longer."""
PROBE = SessionData(
    session_id="mcp-storage-probe",
    identity="mcp-storage-probe",
    server_url="",
    callback_url="",
    transport_type="sse",
    created_at=0,
)
MOST_LOST = 2
"""Stop calling the store after this many calls have timed out: each takes a minute."""


class Environment:
    """A provisioned harness. ``make`` builds further, empty stores of the same kind."""

    def __init__(self, name: str, make: Callable[[], BackendHarness], loop: SuiteLoop) -> None:
        self.name = name
        self.make = make
        self.loop = loop
        self.harness = make()
        self.time: SuiteClock | ObservedTime = ObservedTime()
        self.pace = 1.0
        """The share of a tier's examples that this store gets; 1 for a fast store."""
        self.backend_type: type = object
        """The class of the handles that ``open`` returns."""
        self.hung = False
        """Whether the store is no longer called: it blocks the loop, or too many calls have timed out."""
        self.had_a_cancelled_call = False
        """Whether a call was cancelled since the store was last found usable: a lock may be left in it."""
        self.observer: Observer | None = None
        """Looks at the store after each test."""
        self.meter: BranchMeter | None = None
        """Measures which branches of the store's code run; it learns where examples begin."""
        self.shared: dict[str, Any] = {}
        """What tests of several clauses measure once, by name."""
        self.planted: list[str] = []
        """What tests have put into the store without the backend, until the observer takes it."""
        self._lost = 0

    def start(self) -> None:
        """Provision the store and open it once. If that raises, the store is destroyed and the error is passed on."""
        provisioned = in_time("__aenter__()", self.harness.__aenter__, limit=LONGEST_PROVISIONING)
        self.loop.run(provisioned, limit=LONGEST_PROVISIONING + GRACE)
        try:
            check_instance(self.harness)
            self.loop.run(self._first_handle(), limit=3 * LONGEST_OPENING)
        except BaseException:
            self.hung = not self.loop.answers()
            with suppress(Exception):
                self.stop()
            raise

    @cached_property
    def constants(self) -> SourceConstants:
        """Return the numbers and texts that the store's own source names."""
        from pytest_mcp_storage.engine.source_constants import constants_of

        return constants_of(self.harness, self.backend_type)

    def stop(self) -> None:
        """Destroy the store."""
        limit = LONGEST_END_OF_HUNG if self.hung else LONGEST_END
        destroyed = in_time("__aexit__()", self.harness.__aexit__, None, None, None, limit=limit)
        self.loop.run(destroyed, limit=limit + GRACE)

    def is_usable(self) -> bool:
        """Say whether a new handle can write a session, before the usual lock timeouts have passed."""
        try:
            self.loop.run(self._write_once(), limit=LONGEST_PROBE)
        except Exception:
            return False
        self.had_a_cancelled_call = False
        return True

    async def _write_once(self) -> None:
        handle = await self.harness.open()
        try:
            await handle.create_session(PROBE)
            await handle.remove_session(PROBE.identity, PROBE.session_id)
        finally:
            await handle.disconnect()

    def lost_a_call(self) -> None:
        """Count a call that has timed out."""
        self._lost += 1
        self.hung = self.hung or self._lost >= MOST_LOST

    async def _first_handle(self) -> None:
        if Capability.CLOCK in self.harness.capabilities:
            self.time = SuiteClock()
        handle = await in_time("open()", self.harness.open, limit=LONGEST_OPENING)
        check_backend(handle, "open()")
        self.backend_type = type(handle)
        try:
            seconds = []
            for _ in range(5):
                start = time.perf_counter()
                # the clauses judge whether it may raise
                await ended("get_session()", handle.get_session, "mcp-storage-pace", "none", limit=LONGEST_OPENING)
                seconds.append(time.perf_counter() - start)
        finally:
            await in_time("disconnect()", handle.disconnect, limit=LONGEST_OPENING)
        self.pace = max(FEWEST, min(1.0, SLOW_CALL / max(statistics.median(seconds), 1e-9)))
