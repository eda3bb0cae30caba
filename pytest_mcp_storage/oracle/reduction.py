"""Reduce the history of a failure to the fewest calls and the simplest arguments that still show it.

The recorded calls are replayed on a fresh namespace of the same store, and the model judges each result. Delta
debugging (Zeller and Hildebrandt, 2002) leaves out calls as long as the same method fails in the same way, then the
arguments shrink. Two more replays must confirm the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import History
from pytest_mcp_storage.oracle.judge import LISTINGS, Finding
from pytest_mcp_storage.oracle.plain_sequence import PLAIN
from pytest_mcp_storage.oracle.printing import expected_text, history_of, recorded, returned, unmarked
from pytest_mcp_storage.oracle.replay import Replay
from pytest_mcp_storage.oracle.scenario import Scenario, Step, scenario_of
from pytest_mcp_storage.oracle.simplification import bold, fine
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.outcome import Measurement
from reference_backends import SessionData

LONGEST_REPLAY = 60.0
MOST_SECONDS = 2.0
"""Seconds that the reduction of a failure takes at most, unless the tier gives less."""
FEW = 12
"""Steps of a short scenario. Each replay of a longer one takes too long to try names and fields first."""
WRITES = ("create_session", "update_session", "remove_session", "clear_all", "cleanup_expired_sessions")
METHODS = (*WRITES, "get_session", *LISTINGS)


def reduce(measurement: Measurement, history: History, context: TestContext) -> None:
    """Give the measurement the smallest history that shows its failure, if a replay of the calls shows it too.

    If the calls can't be replayed, or a replay shows nothing, a plain sequence of calls is tried: if a method that the
    test observed is wrong there too, that history is shorter than any timeline. The finding is then marked as plain.
    """
    scenario = scenario_of(history)
    search = Reduction(context, measurement.message)
    reduced = search.run(scenario) if scenario else None
    plain = reduced is None and bool(search.named) and context.can(Capability.CLOCK)
    if plain:
        reduced = search.run(PLAIN)
    if reduced is not None:
        smallest, finding, mark = reduced
        measurement.history = history_of(smallest, finding, mark, search.raised)
        raised = [[place, name] for place, name in search.raised.items() if place != finding.place]
        found = {**printed(finding, mark), "minimal": search.complete, "raised": raised, "plain": plain}
        measurement.scenario = {**smallest.to_json(), "finding": found}
    elif measurement.history == history.lines():
        measurement.history = recorded(history)


def still_fails(kept: dict[str, Any], context: TestContext) -> bool:
    """Say whether a scenario that was kept as JSON still shows its finding in two replays."""
    search = Reduction(context, "")
    search.wanted = kept["finding"]["method"], kept["finding"]["kind"]
    scenario = Scenario.from_json(kept)
    return all(search.confirms(scenario) for _ in range(2))


def printed(finding: Finding, mark: str) -> dict[str, object]:
    """Return the finding as JSON, without the mark of its example."""
    return {
        "place": finding.place, "method": finding.method, "kind": finding.kind,
        "expected": unmarked(finding.expected, mark), "returned": returned(finding.returned, mark),
        "expected_text": str(unmarked(expected_text(finding.expected), mark)),
    }  # fmt: skip


class Reduction:
    """The search for the smallest scenario with the same failure. ``message``: what the clause's test observed."""

    def __init__(self, context: TestContext, message: str) -> None:
        self.context = context
        self.named = [method for method in METHODS if method in message]
        self.wanted: tuple[str, str] = ("", "")
        self.replays = 0
        self.complete = True
        """Whether the search has ended before its time."""
        self.raised: dict[int, str] = {}
        """The errors of the last replay, by the place of their call."""
        self._without: set[str] = set()
        self._end = time.monotonic() + min(MOST_SECONDS, context.tier.shrinking)

    def run(self, scenario: Scenario) -> tuple[Scenario, Finding, str] | None:
        """Return the smallest scenario, its finding, and the mark of the last replay; ``None`` if none is confirmed."""
        found = self._choose(self._replay(scenario))
        if found is None:
            return None
        self.wanted = found.what
        smallest = replace(scenario, steps=scenario.steps[: found.place + 1])
        is_short = len(smallest.steps) <= FEW
        smallest = self._simpler(smallest, bold) if is_short else self._one_session(smallest)
        smallest = self._fewer_steps(smallest)
        smallest = self._simpler(smallest, bold)
        smallest = self._simpler(self._fewer_steps(smallest), fine)
        confirmed = [self._same(smallest) for _ in range(2)]
        last = confirmed[-1]
        return (smallest, last, self.context.history.mark) if all(confirmed) and last else None

    def confirms(self, scenario: Scenario) -> bool:
        """Say whether a replay shows the finding that is looked for."""
        return self._same(scenario) is not None

    def _choose(self, findings: list[Finding]) -> Finding | None:
        """Return the finding that the clause's test observed: one whose method its message names, or else the first."""
        named = [each for each in findings if each.method in self.named]
        return next(iter(named or ([] if self.named else findings)), None)

    def _one_session(self, scenario: Scenario) -> Scenario:
        """Leave out the calls for other sessions at once, if the failure remains."""
        mine = names_in(scenario.steps[-1])
        steps = tuple(each for each in scenario.steps if names_in(each)[: len(mine)] in ((), mine))
        candidate = replace(scenario, steps=steps)
        return candidate if mine and self._same(candidate) else scenario

    def _fewer_steps(self, scenario: Scenario) -> Scenario:
        size = max(1, len(scenario.steps) // 2)
        while size:
            end = len(scenario.steps) - 1
            while end > 0 and not self._is_over():
                start = max(0, end - size)
                candidate = replace(scenario, steps=(*scenario.steps[:start], *scenario.steps[end:]))
                if found := self._same(candidate):
                    scenario = replace(candidate, steps=candidate.steps[: found.place + 1])
                end = min(start, len(scenario.steps) - 1)
            size //= 2
        return scenario

    def _simpler(self, scenario: Scenario, variants: Callable[[Scenario], Iterator[Scenario]]) -> Scenario:
        candidates = variants(scenario)
        while not self._is_over() and (candidate := next(candidates, None)) is not None:
            if candidate != scenario and self._same(candidate):
                scenario = candidate
                candidates = variants(scenario)
        return scenario

    def _same(self, scenario: Scenario) -> Finding | None:
        """Return the finding that is looked for, if a replay shows it; a scenario that failed to is not replayed."""
        key = str(scenario.to_json())  # the repr of a session hides its secrets
        if key in self._without:
            return None
        found = next((each for each in self._replay(scenario) if each.what == self.wanted), None)
        if found is None:
            self._without.add(key)
        return found

    def _replay(self, scenario: Scenario) -> list[Finding]:
        self.replays += 1
        replay = Replay(self.context, scenario)
        findings = self.context.environment.loop.run(replay.run(), limit=LONGEST_REPLAY)
        self.raised = replay.raised
        return findings

    def _is_over(self) -> bool:
        over = time.monotonic() > self._end
        self.complete = self.complete and not over
        return over


def names_in(step: Step) -> tuple[Any, ...]:
    """Return the identity and the session id that a call names, as far as it does."""
    first = step.arguments[0] if step.arguments else None
    if isinstance(first, SessionData):
        return first.identity, first.session_id
    return step.arguments[:2]
