"""The steps of a planned sequence whose call is cancelled, not answered, or made in an outage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.oracle.sequence_model import Sealed, SequenceModel, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.cancellation import interrupted
from pytest_mcp_storage.workloads.outages import NO_ANSWER, first_answer, in_time
from pytest_mcp_storage.workloads.sequences import values
from pytest_mcp_storage.workloads.sequences.handles import Handles
from pytest_mcp_storage.workloads.sequences.reads import Reads
from reference_backends import SessionNotFoundError, StorageUnavailableError


class FaultySteps(Reads):
    """Base of a run: its steps with a fault. ``secret``: what each sealed secret begins with."""

    def __init__(self, context: TestContext, handles: Handles, secret: str, fillers: frozenset[str]) -> None:
        super().__init__(context, handles, fillers)
        self.secret = secret

    async def cancelled(self, step: Step, handle: RecordingBackend) -> None:
        """Cancel a call at one of its suspension points."""
        slot = self.slot(step)
        at = 1 + step.number % 6
        call, after = self._uncertain_call(step, handle)
        ending = await interrupted(
            self.context, f"{step.operation.name} was cancelled at suspension point {at}", call, at
        )
        self._ended(slot, after, done=ending.returned)
        if isinstance(ending.result, Exception):
            raise self.unexpected(step.operation.name, ending.result)

    async def in_an_outage(self, step: Step, handle: RecordingBackend) -> None:
        """Call the store while it can't be reached."""
        slot = self.slot(step)
        call, after = self._uncertain_call(step, handle)
        self.context.history.note("… the store can't be reached …")
        async with self.context.harness.outage():
            got = await in_time(self.context, call)
        self._refuse_missing(slot, got)
        if not isinstance(got, StorageUnavailableError):
            raise self.violation(
                "FA-1", "OUTAGE", f"{step.operation.name} {describe(got)}", "raise StorageUnavailableError"
            )
        self._ended(slot, after, done=False)
        await self._back(step, handle)

    async def without_an_answer(self, step: Step, handle: RecordingBackend) -> None:
        """Make a call whose answer gets lost."""
        slot = self.slot(step)
        call, after = self._uncertain_call(step, handle)
        self.context.history.note("… the answer gets lost …")
        async with self.context.harness.lost_answer():
            got = await in_time(self.context, call)
        self._refuse_missing(slot, got)
        if isinstance(got, Exception) and not isinstance(got, StorageUnavailableError):
            raise self.violation(
                "FA-3", "LOST", f"{step.operation.name} {describe(got)}", "raise StorageUnavailableError"
            )
        self._ended(slot, after, done=got is None)
        await self._back(step, handle)

    def _refuse_missing(self, slot: Slot, got: object) -> None:
        """Raise the violation of a call that does not find a live session: no fault explains that."""
        if isinstance(got, SessionNotFoundError) and self.model.expected(slot).live:
            raise self.misread(Symptom.MISSING, slot, f"update_session {describe(got)}", self.steps[:-1])

    async def _back(self, step: Step, handle: RecordingBackend) -> None:
        """Wait until each handle answers again: about the other identity, so that a late answer is seen."""
        others = [each for each in self.model.slots.values() if each.name[0] != self.slot(step).name[0]]
        slot = others[-1] if others else self.slot(step)
        for each in (handle, *(other for other in self.handles.all() if other is not handle)):
            got = await self._first_answer(each, slot)
            if each in self.handles.usual:
                if isinstance(got, Exception):
                    raise self.unexpected("get_session", got)
                self.compare(slot, got, "the first get_session")

    async def _first_answer(self, handle: RecordingBackend, slot: Slot) -> Any:
        got = await first_answer(self.context, lambda: handle.get_session(*slot.name))
        if isinstance(got, NO_ANSWER):
            raise self.violation("FA-2", "AWAY", f"get_session {describe(got)}", "answer: the store is back")
        return got

    def _uncertain_call(self, step: Step, handle: RecordingBackend) -> tuple[Callable[[], Awaitable[Any]], list[Any]]:
        """Return a call that will not be answered, and what the slot may hold after it."""
        slot, ttl = self.slot(step), values.ttl_of(step.operation)
        if "create" in step.operation.name:
            session = values.session_of(step, self.slot(step).name, self.secret)
            after = SequenceModel(self.context.now, self.context.default_ttl)
            new = Slot(slot.name)
            after.created(new, session, ttl)
            return lambda: handle.create_session(session, ttl), list(new.possible)
        if "update" in step.operation.name:
            changes = values.changes_of(step, self.secret)
            after_update = self.model.after_update(slot, changes, ttl)
            return lambda: handle.update_session(*slot.name, changes, ttl), after_update
        return lambda: handle.get_session(*slot.name), []

    def _ended(self, slot: Slot, after: list[Any], *, done: bool) -> None:
        if after:
            if done:
                slot.possible = after
            else:
                self.model.uncertain(slot, after)
            slot.last = self.steps[-1].operation
            if slot.sealed is Sealed.NO:
                slot.sealed = Sealed.PERHAPS
