"""Say which clause a store breaks whose answer in a planned sequence is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.operations import Effect, Operation
from pytest_mcp_storage.oracle.sequence_model import Gone, SequenceModel, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step

ANEW = {Gone.UNKNOWN: "RT-1", Gone.REMOVED: "LC-8", Gone.CLEARED: "LC-10", Gone.EXPIRED: "EX-4"}
"""The clause that a store breaks that refuses to create what is gone, by why it is gone."""


class SequenceViolation(Violation):
    """A :class:`Violation` of ``clause`` in a planned sequence. ``kind``: what kind of wrong answer it was."""

    def __init__(self, clause: str, kind: str, seen: str, *, should: str) -> None:
        super().__init__(seen, should=should)
        self.clause = clause
        self.kind = kind


def of_a_read(symptom: Symptom, model: SequenceModel, slot: Slot, steps: Sequence[Step]) -> str:
    """Return the clause that a wrong read breaks. ``steps``: what was done, the last last."""
    if symptom is Symptom.MIXED_UP:
        return "ID-5"
    last = _last_change(steps)
    if symptom is Symptom.SHOWN:
        why = model.why_gone(slot)
        return last.harm if why is Gone.UNKNOWN and last is not None and last.effect is Effect.NONE else why.value
    if last is None:
        return "RT-1"
    if last.effect is Effect.PASSES_TIME:
        return "EX-1" if slot.last.effect is Effect.CREATES else "EX-7"
    if last.name == "disconnect and init":
        return "DU-1"
    return last.clause if last is slot.last and not last.fault else last.harm


def of_a_refused_create(model: SequenceModel, slot: Slot) -> str:
    """Return the clause that a store breaks that does not create what is gone."""
    return ANEW[model.why_gone(slot)]


def of_an_accepted_update(model: SequenceModel, slot: Slot) -> str:
    """Return the clause that a store breaks that updates what is gone."""
    return "EX-3" if model.why_gone(slot) is Gone.EXPIRED else "LC-5"


def of_an_error(operation: Operation, steps: Sequence[Step]) -> str:
    """Return the clause that a call breaks which raises what nothing admits."""
    faults = [step.operation for step in steps if step.operation.fault and step.operation is not operation]
    if faults:
        return faults[-1].harm
    return operation.clause


def _last_change(steps: Sequence[Step]) -> Operation | None:
    """Return the last operation that did more than read."""
    return next((step.operation for step in reversed(steps) if not step.operation.only_reads), None)
