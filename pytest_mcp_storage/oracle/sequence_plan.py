"""Plan sequences of operations in which every operation follows every other.

A covering array (allpairspy, covertable) combines the values of factors; with the positions of a sequence as factors it
needs k calls for each k operations, and it does not know which operation is possible in which state. A walk through the
graph of operations, as in a de Bruijn sequence, needs one call, since each call ends one k-tuple and begins the next.
The walk is greedy: it takes an operation that completes a new tuple, or else one from which a new tuple can be reached.
It follows which sessions are live, so each step has the session that it needs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from pytest_mcp_storage.oracle.limits import DEFAULT_TTL
from pytest_mcp_storage.oracle.operations import BY_NAME, Effect, Operation, Target

LONGEST_RUN = 26
"""Steps of a run: enough for tuples to overlap, and few enough to shrink."""
AGAIN = 0.7
"""How often a create takes the name of a session that is gone."""
LONGEST_DETOUR = 1
"""Steps that complete no new tuple; after them a new run is shorter."""
IDENTITIES = 2


class Link(Enum):
    """How a step is related to the one before it."""

    SAME = "the same handle and identity"
    OTHER_HANDLE = "the other handle"
    OTHER_IDENTITY = "the other identity"


class Step(NamedTuple):
    """An operation, by which handle, for which identity, and on which of the run's sessions.

    ``number``: its place in the plan, which it keeps in a run that is shrunk; what it writes follows from it.
    """

    number: int
    operation: Operation
    handle: int
    identity: int
    slot: int


@dataclass(frozen=True)
class Plan:
    """The runs, and how many of the tuples of ``depth`` operations they hold; ``impossible``: those that can't occur.

    ``how``: the links of the tuples, in words.
    """

    depth: int
    how: str
    operations: int
    runs: tuple[tuple[Step, ...], ...]
    tuples: int
    impossible: int
    completed: tuple[int, ...]
    """How many tuples were covered after each run."""

    def coverage(self, runs: int) -> str:
        """Say what the first ``runs`` runs covered."""
        done = self.completed[runs - 1] if runs else 0
        kind = {2: "pairs", 3: "triples", 4: "quadruples"}[self.depth]
        return f"{done:,} of {self.tuples:,} ordered {kind} of {self.operations} operations{self.how}"


@dataclass
class _Slot:
    number: int
    identity: int
    ends: float | None = None
    """The moment at which it expires; ``None`` if it is gone or was never created."""
    usable: bool = True
    """Whether it is certain what the store holds."""


@dataclass
class _Run:
    """A run in the making: its steps, its sessions in the order of their last use, and its time."""

    rng: random.Random
    handles: int
    durable: bool
    default_ttl: float
    steps: list[Step] = field(default_factory=list)
    slots: list[_Slot] = field(default_factory=list)
    now: float = 0.0
    handle: int = 0
    identity: int = 0

    def possible(self, operation: Operation, link: Link) -> bool:
        identity = (self.identity + (link is Link.OTHER_IDENTITY)) % IDENTITIES
        return operation.target is not Target.LIVE or self._last(identity, live=True) is not None

    def take(self, operation: Operation, link: Link = Link.SAME) -> None:
        self.handle = (self.handle + (link is Link.OTHER_HANDLE)) % self.handles
        self.identity = (self.identity + (link is Link.OTHER_IDENTITY)) % IDENTITIES
        slot = self._slot(operation)
        number = -1 if slot is None else slot.number
        self.steps.append(Step(len(self.steps), operation, self.handle, self.identity, number))
        self._apply(operation, slot)

    def _slot(self, operation: Operation) -> _Slot | None:
        if operation.target is Target.NONE:
            return None
        slot = self._last(self.identity, live=operation.target is Target.LIVE)
        if operation.target is Target.NEW and self.rng.random() > AGAIN:
            slot = None
        if slot is None:
            slot = _Slot(len(self.slots), self.identity)
            self.slots.append(slot)
        self.slots.remove(slot)
        self.slots.append(slot)
        return slot

    def _last(self, identity: int, *, live: bool) -> _Slot | None:
        mine = (each for each in reversed(self.slots) if each.identity == identity and each.usable)
        return next((each for each in mine if (each.ends is not None and each.ends > self.now) is live), None)

    def _apply(self, operation: Operation, slot: _Slot | None) -> None:
        match operation.effect:
            case Effect.CREATES | Effect.RENEWS if slot is not None:
                slot.ends = self.now + operation.lasts(self.default_ttl)
            case Effect.REMOVES if slot is not None:
                slot.ends = None
            case Effect.UNCERTAIN if slot is not None:
                slot.usable = False
            case Effect.CLEARS:
                for each in self.slots:
                    each.ends = None
            case Effect.PASSES_TIME:
                self.now += operation.lasts(self.default_ttl)
            case Effect.REOPENS if not self.durable:
                for each in self.slots:
                    each.usable = False


@lru_cache(maxsize=32)
def plan(
    operations: tuple[Operation, ...],
    depth: int,
    *,
    handles: int,
    durable: bool,
    linked: bool,
    seed: int,
    default_ttl: float = DEFAULT_TTL,
) -> Plan:
    """Plan runs that hold every tuple of ``depth`` operations that can occur. ``default_ttl``: the store's, in seconds.

    ``linked``: each tuple once by the other handle and once for the other identity; otherwise links are drawn.
    """
    rng = random.Random(f"{seed} {depth} {linked}")
    links = [each for each in Link if handles > 1 or each is not Link.OTHER_HANDLE]
    return _Planner(operations, depth, links, linked, rng, handles, durable, default_ttl).plan()


class _Planner:
    def __init__(
        self,
        operations: Sequence[Operation],
        depth: int,
        links: list[Link],
        linked: bool,
        rng: random.Random,
        handles: int,
        durable: bool,
        default_ttl: float,
    ) -> None:
        self.operations, self.depth, self.links, self.rng = operations, depth, links, rng
        self.handles, self.durable, self.default_ttl = handles, durable, default_ttl
        self.how = f" ({', '.join(each.value for each in links[1:])})" if linked else ""
        self.drawn = links[1:] if linked else [None]
        prefixes: list[tuple[Operation, ...]] = [()]
        for _ in range(depth - 1):
            prefixes = [(*prefix, each) for prefix in prefixes for each in operations]
        rng.shuffle(prefixes)
        letters = [(each, link) for each in operations for link in self.drawn]
        self.unseen = {prefix: rng.sample(letters, len(letters)) for prefix in prefixes}
        self.tuples = len(prefixes) * len(letters)
        self.impossible = 0

    def plan(self) -> Plan:
        runs, completed = [], []
        left = self.tuples
        while self.unseen:
            run, taken = self._run(next(iter(self.unseen)))
            if taken:
                left -= taken
                runs.append(tuple(run.steps))
                completed.append(self.tuples - left)
        possible = self.tuples - self.impossible
        return Plan(
            self.depth, self.how, len(self.operations), tuple(runs), possible, self.impossible, tuple(completed)
        )

    def _run(self, prefix: tuple[Operation, ...]) -> tuple[_Run, int]:
        """Walk from a new start through ``prefix``, and on; return the run, and how many new tuples it holds."""
        run = _Run(self.rng, self.handles, self.durable, self.default_ttl)
        for link in (Link.SAME, Link.SAME, Link.OTHER_IDENTITY):
            run.take(BY_NAME["create"], link)
        run.identity = self.rng.randrange(IDENTITIES)
        for each in prefix:
            chosen = self.rng.choice(self.links)
            link = chosen if run.possible(each, chosen) else Link.SAME
            if not run.possible(each, link):
                return self._drop(prefix, run)
            run.take(each, link)
        if self._next(run, prefix) is None:
            return self._drop(prefix, run)
        taken, here, detour = 0, prefix, 0
        while len(run.steps) < LONGEST_RUN:
            letter = self._next(run, here)
            if letter is not None:
                self._see(here, letter)
                taken, detour = taken + 1, 0
            else:
                letter, detour = self._towards(run, here), detour + 1
            if letter is None or detour > LONGEST_DETOUR:
                break
            operation, wanted = letter
            run.take(operation, wanted or self._link(run, operation))
            here = (*here, operation)[1:]
        return run, taken

    def _drop(self, prefix: tuple[Operation, ...], run: _Run) -> tuple[_Run, int]:
        """Give up what even a new start does not make possible."""
        self.impossible += len(self.unseen.pop(prefix))
        return run, 0

    def _next(self, run: _Run, prefix: tuple[Operation, ...]) -> tuple[Operation, Link | None] | None:
        """Return an operation that completes a new tuple, if one is possible."""
        return next((each for each in self.unseen.get(prefix, ()) if self._possible(run, *each)), None)

    def _towards(self, run: _Run, prefix: tuple[Operation, ...]) -> tuple[Operation, Link | None] | None:
        """Return an operation after which new tuples can be completed, if there is one."""
        ahead = {each: len(self.unseen.get((*prefix, each)[1:], ())) for each in self.operations}
        open_ones = [each for each, count in ahead.items() if count and self._possible(run, each, None)]
        return (max(open_ones, key=ahead.__getitem__), None) if open_ones else None

    def _possible(self, run: _Run, operation: Operation, link: Link | None) -> bool:
        return any(run.possible(operation, each) for each in ([link] if link else self.links))

    def _link(self, run: _Run, operation: Operation) -> Link:
        """Draw a link; the same session follows itself most often."""
        drawn = self.rng.choice([Link.SAME, Link.SAME, *self.links])
        return drawn if run.possible(operation, drawn) else next(e for e in self.links if run.possible(operation, e))

    def _see(self, prefix: tuple[Operation, ...], letter: tuple[Operation, Link | None]) -> None:
        self.unseen[prefix].remove(letter)
        if not self.unseen[prefix]:
            del self.unseen[prefix]
