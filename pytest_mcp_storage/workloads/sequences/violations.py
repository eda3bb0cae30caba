"""Say which clause a store breaks whose answer in a planned sequence is wrong.

The steps of a run that was shrunk are all needed for the failure. So an operation in it that should change nothing is
the cause of what changed, and so is a fault.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.operations import Effect, Operation
from pytest_mcp_storage.oracle.sequence_model import Gone, SequenceModel, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step

ANEW = {Gone.UNKNOWN: "RT-1", Gone.REMOVED: "LC-8", Gone.CLEARED: "LC-10", Gone.EXPIRED: "EX-4"}
"""The clause that is broken if a session can't be created, or not be read after that, by why it was gone before."""
OF_FAULTS = ("CA-", "FA-", "LC-11", "DU-1")
"""Clauses about what a fault leaves behind."""


class SequenceViolation(Violation):
    """A :class:`Violation` of ``clause`` in a planned sequence. ``kind``: what kind of wrong answer it was.

    ``general``: a clause that explains it too; if a simpler sequence breaks that, this says nothing more.
    """

    def __init__(self, clause: str, kind: str, seen: str, *, should: str, general: str = "") -> None:
        super().__init__(seen, should=should)
        self.clause = clause
        self.kind = kind
        self.general = general
        self.settled = False
        """Whether every step of its history is known to be needed."""

    @property
    def of_a_fault(self) -> bool:
        """Whether its clause is about what a fault leaves behind."""
        return self.clause.startswith(OF_FAULTS)


def of_a_read(symptom: Symptom, model: SequenceModel, slot: Slot, steps: Sequence[Step]) -> tuple[str, str]:
    """Return the clause that a wrong read breaks, and a more general one. ``steps``: what was done, the last last."""
    if symptom is Symptom.MIXED_UP:
        return "ID-5", ""
    last = last_change(steps)
    anew = last is slot.last and slot.last.effect is Effect.CREATES and slot.before is not Gone.UNKNOWN
    if anew and symptom is not Symptom.SHOWN and not any(step.operation.fault for step in steps):
        return ANEW[slot.before], ANEW[Gone.UNKNOWN]
    if harm := _harm(symptom, slot, steps):
        return harm, ""
    timed = last is not None and last.effect is Effect.PASSES_TIME
    if symptom is Symptom.SHOWN:
        why = model.why_gone(slot)
        if why is not Gone.EXPIRED:
            return why.value, ""
        if _sessions(steps) > 1:
            return "EX-10", "EX-2"
        return ("EX-7", "EX-2") if slot.last.effect is Effect.RENEWS else ("EX-2", "")
    if last is None:
        return "RT-1", ""
    if timed or (symptom is Symptom.MISSING and "ttl" in last.name):
        if _sessions(steps) > 1:
            return "EX-10", "EX-1"
        return ("EX-7", "EX-1") if slot.last.effect is Effect.RENEWS else ("EX-1", "RT-1")
    if last.effect is Effect.CREATES and last is slot.last:
        return ANEW[slot.before], ANEW[Gone.UNKNOWN]
    return last.clause if last is slot.last else last.harm, ""


def of_a_refused_create(model: SequenceModel, slot: Slot, steps: Sequence[Step]) -> str:
    """Return the clause that a store breaks that does not create what is gone."""
    return _harm(Symptom.SHOWN, slot, steps) or ANEW[model.why_gone(slot)]


def of_an_accepted_update(model: SequenceModel, slot: Slot) -> str:
    """Return the clause that a store breaks that updates what is gone."""
    return "EX-3" if model.why_gone(slot) is Gone.EXPIRED else "LC-5"


def of_an_error(operation: Operation, steps: Sequence[Step]) -> str:
    """Return the clause that a call breaks which raises what nothing admits."""
    faults = [step.operation for step in steps[:-1] if step.operation.fault]
    likely = [each for each in faults if each.name != "disconnect and init"] or faults
    return likely[-1].harm if likely else operation.clause


def _harm(symptom: Symptom, slot: Slot, steps: Sequence[Step]) -> str:
    """Return the clause of an operation that is a fault or should change nothing; empty if there is none.

    A cancelled call is named first, then other faults, then the last operation that should change nothing.
    """
    done = [step.operation for step in reversed(steps)]
    faults = sorted((each for each in done if each.fault), key=lambda each: "cancelled" not in each.name)
    for operation in faults:
        if operation.name != "disconnect and init":
            return operation.clause if operation is slot.last and "outage" not in operation.name else operation.harm
    if harmless := [each for each in done if each.effect is Effect.NONE and not each.only_reads and not each.fault]:
        return harmless[0].harm
    if faults:
        return "DU-1" if symptom is Symptom.MISSING else "LC-11"
    return ""


def _sessions(steps: Sequence[Step]) -> int:
    """Count the sessions that the steps write."""
    return len({step.slot for step in steps if step.slot >= 0 and not step.operation.only_reads})


def last_change(steps: Sequence[Step]) -> Operation | None:
    """Return the last operation that did more than read."""
    return next((step.operation for step in reversed(steps) if not step.operation.only_reads), None)
