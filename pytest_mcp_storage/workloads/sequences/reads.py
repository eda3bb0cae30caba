"""Compare what the reads of a planned sequence return with the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.oracle.operations import Effect
from pytest_mcp_storage.oracle.sequence_model import SequenceModel, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.sequences import violations
from pytest_mcp_storage.workloads.sequences.handles import Handles
from pytest_mcp_storage.workloads.sequences.violations import SequenceViolation
from reference_backends import SessionData

OWNERS = ("alice", "bob")
LISTINGS = {
    "get_identity_sessions_data": "ID-1", "get_identity_mcp_sessions": "ID-2", "get_all_session_ids": "ID-7",
}  # fmt: skip
"""The clause of each listing."""


class Reads:
    """Base of a run: its model, its steps so far, and its reads. ``fillers``: other sessions of the first identity."""

    def __init__(self, context: TestContext, handles: Handles, fillers: frozenset[str]) -> None:
        self.context, self.handles, self.fillers = context, handles, fillers
        self.model = SequenceModel(context.now, context.default_ttl)
        self.steps: list[Step] = []

    def slot(self, step: Step) -> Slot:
        """Return the session of a step."""
        if step.slot not in self.model.slots:
            identity = self.context.identity(OWNERS[step.identity])
            self.model.slots[step.slot] = Slot((identity, self.context.session_id(f"s{step.slot}")))
        return self.model.slots[step.slot]

    async def check_all(self, reader: int) -> None:
        """Compare what each read of a handle returns."""
        for slot in [*self.model.slots.values()]:
            await self.check(slot, reader)
        for identity in range(len(OWNERS)):
            await self.check_listing(identity, reader)
            await self.check_ids(identity, reader)
        if self.context.store_is_ours:
            await self.check_all_ids(reader)

    async def check(self, slot: Slot, reader: int) -> None:
        """Compare what ``get_session`` returns."""
        seen = await self.answer(self.handles.usual[reader].get_session(*slot.name), "get_session")
        try:
            self.compare(slot, seen, "get_session")
        except SequenceViolation as violation:
            expired = self.model.expected(slot).expired  # that no read may return, of whichever handle
            if reader != slot.writer and slot.writer < len(self.handles.usual) and not expired:
                by_writer = await self.answer(self.handles.usual[slot.writer].get_session(*slot.name), "get_session")
                if self.model.wrong(slot, by_writer) is None:
                    violation.clause = "CO-4"
            raise

    def compare(self, slot: Slot, seen: SessionData | None, method: str) -> None:
        """Compare a session that was read."""
        if wrong := self.model.wrong(slot, seen):
            symptom, found = wrong
            raise self.misread(symptom, slot, f"{method} returned {found}")

    async def check_listing(self, identity: int, reader: int) -> None:
        """Compare what ``get_identity_sessions_data`` returns."""
        owner = self.context.identity(OWNERS[identity])
        call = self.handles.usual[reader].get_identity_sessions_data(owner)
        seen: list[SessionData] = await self.answer(call, "get_identity_sessions_data")
        ids, slots = [each.session_id for each in seen], self.model.of(owner)
        await self._compare_ids(slots, ids, self._fillers_of(identity), "get_identity_sessions_data", reader)
        by_id = {each.session_id: each for each in seen}
        for slot in slots:
            self.compare(slot, by_id.get(slot.name[1]), "get_identity_sessions_data")

    async def check_ids(self, identity: int, reader: int) -> None:
        """Compare what ``get_identity_mcp_sessions`` returns."""
        owner = self.context.identity(OWNERS[identity])
        ids = await self.answer(
            self.handles.usual[reader].get_identity_mcp_sessions(owner), "get_identity_mcp_sessions"
        )
        fillers = self._fillers_of(identity)
        await self._compare_ids(self.model.of(owner), ids, fillers, "get_identity_mcp_sessions", reader)

    async def check_all_ids(self, reader: int) -> None:
        """Compare what ``get_all_session_ids`` returns of this run's sessions."""
        ids = await self.answer(self.handles.usual[reader].get_all_session_ids(), "get_all_session_ids")
        known = {slot.name[1] for slot in self.model.slots.values()}
        mine = [each for each in ids if each in known or each in self.fillers]
        await self._compare_ids([*self.model.slots.values()], mine, self.fillers, "get_all_session_ids", reader)

    def _fillers_of(self, identity: int) -> frozenset[str]:
        return self.fillers if identity == 0 else frozenset()

    async def _compare_ids(
        self, slots: list[Slot], seen: list[str], fillers: frozenset[str], method: str, reader: int
    ) -> None:
        clause, counts = LISTINGS[method], Counter(seen)
        for slot in slots:
            expected, session_id = self.model.expected(slot), slot.name[1]
            if slot.forgotten or (not expected.ended and not expected.live):
                continue
            if expected.ended and session_id in counts:
                raise self.misread(Symptom.SHOWN, slot, f"{method} returned {session_id!r}")
            if expected.live and session_id not in counts:
                await self.check(slot, reader)  # perhaps it is not only this read that does not find it
                what, last = f"{method} did not return {session_id!r}", violations.last_change(self.steps)
                if last is not None and last.effect is Effect.PASSES_TIME:
                    raise self.misread(Symptom.MISSING, slot, what)
                raise self.violation(clause, "MISSING", what, self.should(slot))
        ids = {slot.name[1] for slot in slots}
        strange = [each for each in counts if each not in ids and each not in fillers]
        lost = fillers - set(counts)
        if len(seen) != len(counts) or strange or lost:
            what = f"{len(seen)} ids, {len(counts)} of them different"
            what += f", {len(strange)} of no session of this identity" if strange else ""
            what += f", and not {len(lost)} of the other live sessions" if lost else ""
            raise self.violation(clause, "LISTED", f"{method} returned {what}", "return each live session once")

    # -- what is wrong ---------------------------------------------------------------------------------------------

    async def answer(self, call: Awaitable[Any], method: str) -> Any:
        """Return what a call of the store returned; what it raised is a violation."""
        got = await outcome_of(call)
        if isinstance(got, Exception):
            raise self.unexpected(method, got)
        return got

    def unexpected(self, method: str, error: Exception) -> SequenceViolation:
        """Return the violation of a call that raised what nothing admits."""
        step = self.steps[-1]
        clause = violations.of_an_error(step.operation, self.steps)
        violation = self.violation(clause, f"RAISED {type(error).__name__}", f"{method} {describe(error)}", "answer")
        violation.__cause__ = error
        return violation

    def violation(self, clause: str, kind: str, seen: str, should: str) -> SequenceViolation:
        """Return a violation, with the last steps in words."""
        before = ", ".join(step.operation.name for step in self.steps[-3:])
        return SequenceViolation(clause, kind, f"after {before}: {seen}", should=should)

    def misread(
        self, symptom: Symptom, slot: Slot, seen: str, steps: Sequence[Step] | None = None
    ) -> SequenceViolation:
        """Return the violation of a read, or of a call that shows what a read would."""
        clause, general = violations.of_a_read(symptom, self.model, slot, self.steps if steps is None else steps)
        violation = self.violation(clause, symptom.name, seen, self.should(slot))
        violation.general = general
        return violation

    def should(self, slot: Slot) -> str:
        """Say what a read should return of the slot."""
        if self.model.expected(slot).sessions:
            return "return what the calls before it stored"
        return f"return nothing: it {self.model.why_gone(slot).name.lower()}"
