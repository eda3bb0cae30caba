"""The context that a clause test receives."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mcp_storage.engine.cleanup import Cleanup
from pytest_mcp_storage.engine.clock import SuiteClock
from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.example_names import PROCESS, ExampleNames
from pytest_mcp_storage.engine.recording import (
    LONGEST_CALL,
    UNREPEATABLE,
    HandleOptions,
    History,
    Passed,
    RecordingBackend,
    blame,
)
from pytest_mcp_storage.engine.tiers import Tier
from pytest_mcp_storage.engine.timeouts import Overdue, in_time
from pytest_mcp_storage.engine.violation import NoReturn
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import short_repr
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.spec.outcome import LEFT_OUT
from reference_backends import SessionData, StorageBackend

if TYPE_CHECKING:
    from pytest_mcp_storage.engine.source_constants import SourceConstants

T = TypeVar("T")


class TestContext(ExampleNames):
    """One test of one clause on one backend: its handles, its time, its names, and its history.

    Each example writes under separate identities, so that it meets no other sessions, older ones included.
    """

    __test__ = False  # pytest would collect it
    key = "5e" * 32
    other_key = "a7" * 32

    def __init__(self, environment: Environment, tier: Tier, seed: int, *, destructive: bool) -> None:
        self.environment = environment
        self.harness = environment.harness
        self.tier = tier
        self.seed = seed
        self.destructive = destructive
        self.history = History()
        self.notes: list[str] = []
        self.cancelled = ""
        """The last call that the test cancelled, in words."""
        self._handles: list[RecordingBackend] = []
        self._others: list[RecordingBackend] = []
        """Handles on other stores, or with fewer rights."""
        self._further: list[RecordingBackend] = []
        self._holders: dict[tuple[str, ...], RecordingBackend] = {}
        self._histories: list[History] = []
        self._opened_now: list[RecordingBackend] = []
        """Handles that this example opened for itself."""
        self._opened_before: list[RecordingBackend] = []
        self._cleanup = Cleanup(environment, PROCESS)
        self.planted: set[tuple[str, str]] = set()
        """Names of sessions whose stored fields the suite has replaced."""
        self.begun = 0
        """How many examples have begun, of these parameters."""
        self.begin()

    # -- the example ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start an example: a new history, and names that no example had before."""
        self.begun += 1
        if self.environment.meter:
            self.environment.meter.begin(self.begun)
        self._opened_before += self._opened_now
        self._opened_now = []
        self.renew_names(shared=not self.harness.dedicated)
        self.history = History(self._mark)
        self._histories.append(self.history)

    @property
    def constants(self) -> SourceConstants:
        """Return the numbers and texts that the store's own source names; none for a store in another process."""
        return self.environment.constants

    def cancelled_a_call(self, what: str) -> None:
        """Remember the cancelled call, in words: what it leaves behind is neither the next call's fault nor test's."""
        self.cancelled = what
        self.environment.had_a_cancelled_call = True

    # -- the store -----------------------------------------------------------------------------------------------

    def can(self, capability: Capability) -> bool:
        """Say whether the harness declares the capability."""
        return capability in self.harness.capabilities

    @property
    def store_is_ours(self) -> bool:
        """Say whether store-wide calls are allowed: on a dedicated store, or with ``--mcp-allow-destructive``."""
        return self.harness.dedicated or self.destructive

    @property
    def default_ttl(self) -> float:
        """Seconds that a session lives if neither a call nor ``open`` gives a TTL."""
        return self.harness.default_ttl_seconds

    @property
    def usual_keys(self) -> tuple[str, ...]:
        """Return what a handle is opened with by default: the key, or nothing if the store takes none."""
        return (self.key,) if self.can(Capability.KEY) else ()

    async def store(self, *, sealed: bool = True) -> RecordingBackend:
        """Return the handle that the examples of this test share: with a key if ``sealed`` and the store takes one."""
        return await self.holder(*(self.usual_keys if sealed else ()))

    async def holder(self, *keys: str) -> RecordingBackend:
        """Return the handle with these keys that the examples of this test share.

        If the store is DURABLE and not SHARED, one handle at a time is open.
        """
        if keys not in self._holders:
            if not self.can(Capability.SHARED):
                await self._close_holders()
            other = f"store_of_{len(keys)}_keys" if keys else "keyless"
            self._holders[keys] = await self.open(*keys, name="store" if keys == self.usual_keys else other)
            self._opened_now.remove(self._holders[keys])
        return self._holders[keys]

    @property
    def one_store(self) -> bool:
        """Say whether all handles, open together or one after another, are handles on the same store."""
        return self.can(Capability.SHARED) or self.can(Capability.DURABLE)

    async def plant(self, session: SessionData, field: str, value: Any) -> None:
        """Replace a stored field with ``value`` without the backend (AT_REST)."""
        if not self.can(Capability.SHARED):
            await self._close_holders()
        self.history.note(f"… the stored {field} of {session.session_id!r} is replaced by {short_repr(value)} …")
        self.planted.add((session.identity, session.session_id))
        self.environment.planted.append(str(value))
        await self.harness.replace_stored_field(session.identity, session.session_id, field, value)

    async def _close_holders(self) -> None:
        if self.can(Capability.DURABLE):
            for holder in self._holders.values():
                await holder.disconnect()
            self._holders.clear()

    async def _close_what_was_opened_before(self) -> None:
        """Close the handles of earlier examples: a store that is not SHARED may allow one handle at a time."""
        for handle in self._opened_before:
            await self._cleanup.attempt(handle.backend.disconnect)
        self._opened_before.clear()

    async def open(
        self,
        *keys: str,
        name: str = "",
        default_ttl: float | None = None,
        real_time: bool = False,
        harness: BackendHarness | None = None,
    ) -> RecordingBackend:
        """Open a new handle, which is closed when the test ends. ``real_time``: without the suite's clock.

        What the harness raises here counts as raised by the store.
        """
        options: dict[str, Any] = {}
        if keys:
            options["encryption_key"] = keys[0] if len(keys) == 1 else list(keys)
        if default_ttl is not None:
            options["default_ttl"] = default_ttl
        if isinstance(self.environment.time, SuiteClock) and not real_time:
            options["clock"] = self.environment.time
        if harness is None and not self.can(Capability.SHARED):
            await self._close_what_was_opened_before()
        opened = HandleOptions(keys, default_ttl, repeatable=harness is None and not real_time)
        sealed = bool(keys) and harness is None
        recording = await self._opened(lambda: (harness or self.harness).open(**options), name, opened, sealed=sealed)
        (self._handles if harness is None else self._others).append(recording)
        if harness is None:
            self._opened_now.append(recording)
        return recording

    async def handles(self, count: int) -> list[RecordingBackend]:
        """Return this many handles on the store, with the same key, which the examples of this test share."""
        first = await self.store()
        while len(self._further) < count - 1:
            self._further.append(await self.open(*self.usual_keys, name=f"store{len(self._further) + 2}"))
        return [first, *self._further[: count - 1]]

    def give_up(self, handles: Iterable[RecordingBackend]) -> None:
        """Do not use these handles again: a call on one of them did not return, so the next may not either."""
        self._cleanup.time_limit = self.harness.time_limit
        for kept in (self._handles, self._further, self._opened_now):
            kept[:] = [each for each in kept if each not in handles]

    async def open_as(self, user: str | None) -> RecordingBackend:
        """Open a new handle as a signed-in user, in real time; ``None``: without a user.

        It is closed when the test ends.
        """
        recording = await self._opened(lambda: self.harness.open_as(user), user or "nobody")
        self._others.append(recording)
        return recording

    async def _opened(
        self,
        opening: Callable[[], Awaitable[StorageBackend]],
        name: str,
        opened: HandleOptions = UNREPEATABLE,
        *,
        sealed: bool = False,
    ) -> RecordingBackend:
        try:
            backend = await in_time("open", opening, limit=LONGEST_CALL)
        except Overdue as error:
            self.environment.lost_a_call()
            raise NoReturn(str(error), should="return") from None
        except Exception as error:
            blame(error, "open")
            raise
        name = name or f"handle{len(self._handles) + len(self._others) + 1}"
        return RecordingBackend(
            backend,
            name,
            lambda: self.history,
            self.environment.lost_a_call,
            protects_others=not self.store_is_ours,
            sealed=sealed,
            opened=opened,
        )

    @asynccontextmanager
    async def another_store(self, *, will_be_killed: bool = False) -> AsyncIterator[BackendHarness]:
        """Provision another empty store of the same kind, which the test may damage.

        ``will_be_killed``: the test may also kill processes that use it.
        """
        harness = self.environment.make()
        harness.will_be_killed = will_be_killed
        async with harness:
            yield harness

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time in seconds on the clock by which the store's sessions expire."""
        return self.environment.time()

    async def pass_time(self, seconds: float) -> None:
        """Let at least this much time pass."""
        self.history.note(Passed.of(seconds))
        await self.environment.time.pass_time(seconds)

    def ttl(self, seconds: float) -> float:
        """Return ``seconds`` if the clock is the suite's, else a TTL of 1 to 2 seconds that a test can wait for."""
        return self.environment.time.measurable(seconds)

    # -- the verdict ---------------------------------------------------------------------------------------------

    def leave_out(self, what: str) -> None:
        """Note, once, a part of the clause that could not be judged here."""
        if (note := f"{LEFT_OUT}{what}") not in self.notes:
            self.notes.append(note)

    def in_filling_time(self, items: Sequence[T], what: str) -> Iterator[T]:
        """Yield the items until the filling time of the tier ends; note how many ``what`` a slow store did not get."""
        end = time.monotonic() + self.tier.filling_time
        for number, item in enumerate(items):
            if time.monotonic() > end:
                left = f"{len(items) - number} of {len(items)} {what}"
                self.leave_out(f"{left}: the others took over {self.tier.filling_time:g} s")
                break
            yield item

    # -- the end -------------------------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """Remove what the examples wrote, and close every handle. Errors here do not count against the clause."""
        note = await self._cleanup.remove_sessions(self._handles, self._histories, self.open)
        self.notes += [note] if note else []
        for handle in [*self._handles, *self._others]:
            await self._cleanup.attempt(handle.backend.disconnect)

    def remember(self, sessions: Iterable[SessionData]) -> None:
        """Remember sessions that were written without the recording: they are removed when the test ends."""
        self._cleanup.unrecorded += sessions

    def every_call(self) -> list[Call]:
        """Return the calls of all examples, in order."""
        return [call for history in self._histories for call in history.calls()]
