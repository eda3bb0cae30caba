"""Run the planned sequences once for a store, and keep what each clause's test reports of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import NoReturn, Violation, outcome_of
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.operations import Operation, operations_for
from pytest_mcp_storage.oracle.sequence_plan import Plan, Step, plan
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.workloads.sequences.handles import Handles
from pytest_mcp_storage.workloads.sequences.player import Player
from pytest_mcp_storage.workloads.sequences.reads import OWNERS
from pytest_mcp_storage.workloads.sequences.storage import Storage
from pytest_mcp_storage.workloads.sequences.violations import SequenceViolation
from reference_backends import SessionData

SECONDS = {"smoke": 10.0, "standard": 45.0, "deep": 300.0}
"""The time that a slow store gets; what was covered in it is noted."""
MOST_FAILURES = 12
"""Runs that may fail before the rest is left out."""
SHARE = 4
"""How many times the tier's time for shrinking all failures get together; many clauses share it."""
FILLERS = (1, 101, 1001)
MOST_FILLERS = 12
LARGEST_FILLER = 1200


@dataclass
class Outcome:
    """What the sequences showed: a violation for each broken clause, with its history, and what they covered."""

    violations: dict[str, SequenceViolation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def report(context: TestContext, clause: str) -> None:
    """Run the sequences, if no test has done so yet. Raises :class:`Violation` if they broke the clause."""
    outcomes, name = context.environment.shared, f"sequences {context.tier.name} {context.seed}"
    if name not in outcomes:
        outcomes[name] = Outcome()
        outcomes[name] = await _Sequences(context).run()
    outcome: Outcome = outcomes[name]
    context.notes += outcome.notes
    if violation := outcome.violations.get(clause):
        raise Violation(violation.seen, should=violation.should, history=violation.history) from violation.__cause__


class _Sequences:
    def __init__(self, context: TestContext) -> None:
        self.context = context
        self.outcome = Outcome()
        self.storage = Storage(context)
        self.handles: Handles | None = None
        self.violations: list[SequenceViolation] = []
        self.faults: list[str] = []
        """The clauses that earlier faults may have broken for later runs on the same handles."""
        self.failures = 0
        self.hung = False
        self.shrinking = SHARE * context.tier.shrinking
        self.end = time.monotonic() + SECONDS.get(context.tier.name, SECONDS["deep"])
        self.measurable = {each.id for each in load_clauses() if each.needs <= context.harness.capabilities}

    async def run(self) -> Outcome:
        for planned in self._plans():
            await self._play_all(planned)
        if self.context.tier.name != "smoke":
            await self._play_next_to_others()
        if not self.failures:
            try:
                await self.storage.scan(encodings=self.context.tier.name != "smoke")
            except SequenceViolation as violation:
                self.violations.append(violation)
        self._keep()
        return self.outcome

    def _plans(self) -> Iterator[Plan]:
        context, tier = self.context, self.context.tier.name
        available = operations_for(context.harness.capabilities, store_wide=context.store_is_ours)
        yield self._plan(2, tuple(available))
        if tier != "smoke" and (self.storage.fast or context.tier.every_example):
            yield self._plan(2, tuple(available), linked=True)
        if tier != "smoke":
            yield self._plan(3, tuple(each for each in available if each.core))
        if tier == "deep":
            yield self._plan(4, tuple(each for each in available if each.risky))

    def _plan(self, depth: int, operations: tuple[Operation, ...], *, linked: bool = False) -> Plan:
        shared, durable = self.context.can(Capability.SHARED), self.context.can(Capability.DURABLE)
        return plan(
            operations,
            depth,
            handles=1 + shared,
            durable=durable,
            linked=linked,
            seed=self.context.seed,
            default_ttl=self.context.default_ttl,
        )

    async def _play_all(self, planned: Plan) -> None:
        done = 0
        for number, steps in enumerate(planned.runs):
            if self._enough():
                break
            await self._play(steps, number)
            done += 1
        self.outcome.notes.append(f"sequences: {planned.coverage(done)}")

    async def _play_next_to_others(self) -> None:
        context = self.context
        counts = {*FILLERS, *context.constants.around(2, LARGEST_FILLER)[:MOST_FILLERS]}
        operations = operations_for(context.harness.capabilities, store_wide=context.store_is_ours)
        planned = self._plan(2, tuple(each for each in operations if each.cheap))
        covered = []
        for count in sorted(counts):
            if self._enough():
                break
            for number, steps in enumerate(planned.runs):
                await self._play(steps, number, others=count)
            covered.append(count)
        if covered:
            sizes = ", ".join(f"{count:,}" for count in covered)
            note = f"sequences: {planned.coverage(len(planned.runs))} next to {sizes} sessions of the identity"
            self.outcome.notes.append(note)

    def _enough(self) -> bool:
        return self.hung or self.failures >= MOST_FAILURES or time.monotonic() > self.end

    async def _play(self, steps: Sequence[Step], number: int, others: int = 0) -> None:
        watched = number % 2 == 0
        violation = await self._fails(steps, number, watched=watched, others=others)
        if violation is None:
            self.faults += [step.operation.harm for step in steps if step.operation.fault]
            return
        self.failures += 1
        known = any(each.settled and each.kind == violation.kind for each in self.violations)
        if not (self.hung or others or (known and self.failures > MOST_FAILURES // 2)):
            violation = await self._shrunk(list(steps), violation, watched=watched)
        self.violations.append(violation)

    async def _fails(
        self, steps: Sequence[Step], number: int, *, watched: bool, others: int = 0, again: bool = False
    ) -> SequenceViolation | None:
        """Play a run; return what it violates, with its history."""
        context = self.context
        context.begin()
        handles = await self._open()
        fillers = await self._fill(handles, others)
        player = Player(context, handles, self.storage.secret, watched=watched, fillers=fillers)
        try:
            await player.play(steps)
            await self.storage.check(player, number, thorough=again)
        except SequenceViolation as violation:
            violation.history = context.history.lines()
            self.hung = isinstance(violation.__cause__, NoReturn) or context.environment.hung
            await self._close()
            if not self.hung:
                player.handles = await self._open()
                await player.clean_up()
            return violation
        await player.clean_up()
        return None

    async def _shrunk(self, steps: list[Step], violation: SequenceViolation, *, watched: bool) -> SequenceViolation:
        """Leave out steps for as long as the run fails in the same way; return the violation of the shortest."""
        start, again = time.monotonic(), await self._fails(steps, 0, watched=watched, again=True)
        if again is None or again.kind != violation.kind:  # with new handles it passes: an earlier run is the cause
            violation.clause = self.faults[-1] if self.faults else violation.clause
            return violation
        size, limit = len(steps) // 2, min(self.shrinking, self.context.tier.shrinking)
        while size and not self.hung and time.monotonic() - start < limit:
            at = 0
            while at < len(steps) and not self.hung and time.monotonic() - start < limit:
                fewer = steps[:at] + steps[at + size :]
                found = await self._fails(fewer, 0, watched=watched, again=True) if fewer else None
                if found is not None and found.kind == violation.kind:
                    steps, violation = fewer, found
                else:
                    at += size
            size //= 2
        violation.settled = not size
        earlier = None if watched or self.hung else await self._fails(steps, 0, watched=True, again=True)
        self.shrinking -= time.monotonic() - start
        if earlier is not None:
            earlier.settled = violation.settled
        return earlier or violation

    async def _open(self) -> Handles:
        if self.handles is None:
            self.handles = await Handles.open(self.context)
        return self.handles

    async def _close(self) -> None:
        """Leave the handles alone: the next run gets new ones."""
        handles, self.handles, self.faults = self.handles, None, []
        if handles is None:
            return
        if self.hung:
            self.context.give_up(handles.all())
            return
        for each in handles.all():
            await outcome_of(each.disconnect())

    async def _fill(self, handles: Handles, count: int) -> frozenset[str]:
        if not count:
            return frozenset()
        if self.context.store_is_ours:
            await outcome_of(handles.usual[0].clear_all())
        session = SessionData(identity=self.context.identity(OWNERS[0]), session_id="s", **FILLED)
        return frozenset(each.session_id for each in await create_many(self.context, handles.usual[0], session, count))

    def _keep(self) -> None:
        """Keep a violation for each clause, of those that no simpler one explains."""
        settled = [each for each in self.violations if each.settled] or self.violations
        clauses = {each.clause for each in settled}
        simple = {each.kind for each in settled if not each.of_a_fault}
        for each in settled:
            if each.general in clauses or (each.of_a_fault and each.kind in simple):
                continue
            clause = each.clause if each.clause in self.measurable else "LC-3"
            if clause != each.clause and "MX-3" in self.measurable:
                clause = "MX-3"
            self.outcome.violations.setdefault(clause, each)
