"""One store of a run: opened, timed, filled, closed. It has an event loop to itself, so that none blocks another."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from pytest_mcp_storage.engine.environment import LONGEST_OPENING, Environment
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.engine.timeouts import in_time
from pytest_mcp_storage.report.escaping import one_line
from pytest_mcp_storage.session.backends import MakeHarness, described
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.speed.operations import GROWING, LIST_MANY, Operation
from pytest_mcp_storage.speed.result import Growth, Point, Speed, StoreResult, percentile
from pytest_mcp_storage.speed.subject import MANY, Subject
from pytest_mcp_storage.speed.timing import CALL_LIMIT, Sample, sample

Returned = TypeVar("Returned")

SIZES = (100, 1_000, 10_000, 100_000)
"""The numbers of sessions of others among which operations are timed."""
MOST_IN_SHARED = 10_000
"""The largest of them in a store that may hold others' data."""
FILLING, FILLING_SHARED = 0.7, 0.35
"""The share of the time in which a store is filled; one that may hold others' data is emptied again."""
SHORTEST_FILLING = 0.5
"""Seconds that a store gets at least to reach the next size."""
GROWTH_SLICES = 50
"""The share of the growth's time that one operation gets at one size is one of this many."""
LONGEST_STEP = 90.0
"""Seconds after which a step counts as one that never returns, if the store blocks its loop too."""


class Store:
    """Collects what was measured in ``result``."""

    def __init__(self, name: str, make: MakeHarness, *, compared: bool = False, destructive: bool = False) -> None:
        self.result = StoreResult(name, compared=compared)
        self._make = make
        self._destructive = destructive
        self._loop = SuiteLoop()
        self._environment: Environment | None = None
        self._subject: Subject | None = None
        self._samples: dict[tuple[str, int], Sample] = {}
        self._points: dict[str, list[Point]] = {}
        self._failed: set[str] = set()

    @property
    def ready(self) -> bool:
        """Whether the store is open and answers."""
        return self._subject is not None and not self.result.refused

    def start(self) -> None:
        """Provision the store, open it, and create the sessions that are read."""
        try:
            environment = Environment(self.result.name, self._make, self._loop)
            environment.start()
            self._environment = environment
            self.result.harness, self.result.version = described(environment.harness)
            clock = environment.time if Capability.CLOCK in environment.harness.capabilities else None
            opened = in_time(
                "open()", environment.harness.open, limit=LONGEST_OPENING, **({"clock": clock} if clock else {})
            )
            backend = self._loop.run(opened, limit=LONGEST_OPENING)
            subject = self._subject = Subject(backend, environment.time)
            self._loop.run(subject.create_all(subject.few), limit=LONGEST_STEP)
        except Exception as error:
            self.result.refused = _words(error)

    def create_many(self, seconds: float) -> None:
        """Create the identity with many sessions, unless that takes longer."""
        if not self.ready:
            return
        subject = self._open_subject
        created = self._attempt(LIST_MANY.name, lambda: subject.create_within(subject.many, seconds))
        if created is not None and created < MANY:
            self._leave_out(LIST_MANY.name, f"creating {MANY:,} sessions takes more than {seconds:.1f} s")

    def remove_many(self) -> None:
        """Remove them again, so that they are not among the sessions of others."""
        if self.ready:
            subject = self._open_subject
            self._attempt("remove", lambda: subject.remove_all(subject.many))

    def time(self, operation: Operation, callers: int, seconds: float) -> None:
        """Time an operation for some seconds more."""
        if not self.ready or operation.name in self._failed:
            return
        if operation.store_wide and not self._may_touch_all:
            self._leave_out(operation.name, "the store may hold others' data; --allow-destructive runs it")
            return
        into = self._samples.setdefault((operation.name, callers), Sample())
        if into.elapsed >= 2 * seconds:
            return  # its first turn took longer than planned
        self._attempt(operation.name, lambda: sample(self._open_subject, operation, callers, seconds, into))

    def grow(self, seconds: float) -> None:
        """Fill the store with sessions of others, and time operations at several sizes."""
        share = FILLING if self._dedicated else FILLING_SHARED
        end = time.monotonic() + share * seconds
        for size in SIZES:
            if not self.ready:
                return
            if size > MOST_IN_SHARED and not self._may_touch_all:
                self.result.notes.append(
                    f"growth: at most {MOST_IN_SHARED:,} sessions: the store may hold others' data; "
                    "--allow-destructive allows more"
                )
                return
            others = self.fill(size, max(SHORTEST_FILLING, end - time.monotonic()))
            self.measure_growth(seconds / GROWTH_SLICES)
            if others < size:
                if "growth" not in self._failed:
                    self.result.notes.append(f"growth: {others:,} of {size:,} sessions; --seconds gives it more time")
                return

    def fill(self, size: int, seconds: float) -> int:
        """Create sessions of others, for some seconds at most; return how many there are."""
        subject = self._open_subject
        self._attempt("growth", lambda: subject.fill(size, seconds))
        return subject.others

    def measure_growth(self, seconds: float) -> None:
        """Time each operation that should not grow, among the sessions that there are."""
        subject = self._open_subject
        for operation in GROWING:
            if subject.others and operation.name not in self._failed and self.ready:
                taken = Sample()
                self._attempt(operation.name, partial(sample, subject, operation, 1, seconds, taken))
                if taken.latencies:
                    quick = percentile(sorted(taken.latencies), 0.1)
                    self._points.setdefault(operation.name, []).append(Point(subject.others, 1000 * quick))

    def stop(self) -> None:
        """Remove what was created, and destroy the store if the harness made one."""
        self.result.speeds = [
            Speed.of(operation, callers, taken)
            for (operation, callers), taken in self._samples.items()
            if taken.latencies
        ]
        self.result.growth = [Growth(name, tuple(points)) for name, points in self._points.items()]
        if self._subject is not None and self._loop.answers():
            subject = self._subject
            if not self._dedicated and self._attempt("clear", subject.clear) is None and subject.left:
                self.result.notes.append(f"{subject.left} sessions whose identity starts with {subject.token} remain")
            self._attempt("disconnect", subject.backend.disconnect)
        if self._environment is not None:
            self._environment.hung = not self._loop.answers()
            try:
                self._environment.stop()
            except Exception as error:
                self.result.notes.append(f"the store was not destroyed: {_words(error)}")
        with suppress(TimeoutError):
            self._loop.close()

    @property
    def _open_subject(self) -> Subject:
        assert self._subject is not None
        return self._subject

    @property
    def _dedicated(self) -> bool:
        return self._environment is not None and self._environment.harness.dedicated

    @property
    def _may_touch_all(self) -> bool:
        return self._dedicated or self._destructive

    def _attempt(self, what: str, work: Callable[[], Awaitable[Returned]]) -> Returned | None:
        """Return the result of the work; what fails is noted and not tried again."""
        try:
            return self._loop.run(work(), limit=LONGEST_STEP)
        except Exception as error:
            why = f"no answer within {CALL_LIMIT:g} s" if isinstance(error, TimeoutError) else _words(error)
            self._leave_out(what, why)
            if not self._loop.answers():
                self.result.refused = f"{what}: the store blocks its event loop"
            return None

    def _leave_out(self, what: str, why: str) -> None:
        if what not in self._failed:
            self._failed.add(what)
            self.result.notes.append(f"{what}: not measured: {why}")


def _words(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}".removesuffix(": "))[:300]
