"""Planned sequences hold every tuple of operations that they say, with the sessions that each step needs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_mcp_storage.oracle.limits import DEFAULT_TTL
from pytest_mcp_storage.oracle.operations import ALL_OPERATIONS, BY_NAME, Operation, Target, operations_for
from pytest_mcp_storage.oracle.sequence_plan import LONGEST_RUN, Plan, plan
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.suite import test_mcp_sequences as suite_module
from pytest_mcp_storage.workloads.sequences.violations import ANEW

SOME = tuple(BY_NAME[name] for name in ("create with ttl", "update", "remove", "get", "short time", "cleanup", "clear"))


def planned(operations: tuple[Operation, ...], depth: int = 2, *, linked: bool = False, seed: int = 0) -> Plan:
    return plan(operations, depth, handles=2, durable=True, linked=linked, seed=seed)


def names(steps: object) -> list[str]:
    return [step.operation.name for step in steps]  # type: ignore[attr-defined]


def test_every_pair_that_can_occur_does() -> None:
    made = planned(SOME)
    seen = {pair for run in made.runs for pair in pairwise(names(run))}
    wanted = {(one.name, other.name) for one in SOME for other in SOME}
    needs_a_session = {each.name for each in SOME if each.target is Target.LIVE}
    missing = wanted - seen
    assert missing <= {("clear", each) for each in needs_a_session}, "after clear no session is live"
    assert made.tuples == len(wanted) - made.impossible
    assert made.impossible == len(missing)
    assert made.coverage(len(made.runs)).startswith(f"{made.tuples} of {made.tuples} ordered pairs of 7 operations")
    assert made.coverage(0).startswith("0 of ")


def test_every_triple_that_can_occur_does() -> None:
    made = planned(SOME, 3)
    seen = {tuple(names(run)[at : at + 3]) for run in made.runs for at in range(len(run) - 2)}
    wanted = {(a.name, b.name, c.name) for a in SOME for b in SOME for c in SOME}
    assert len(wanted & seen) >= made.tuples
    assert made.tuples >= 0.8 * len(wanted)


def test_linked_pairs_occur_across_handles_and_identities() -> None:
    made = planned(SOME, linked=True)
    seen = {
        (one.operation.name, other.operation.name, one.handle != other.handle, one.identity != other.identity)
        for run in made.runs
        for one, other in pairwise(run)
    }
    assert ("update", "get", True, False) in seen
    assert ("remove", "get", False, True) in seen
    assert "the other handle, the other identity" in made.coverage(1)


@pytest.mark.parametrize("depth", [2, 3])
def test_a_walk_needs_few_steps(depth: int) -> None:
    operations = tuple(each for each in operations_for(frozenset(Capability), store_wide=True) if each.core)
    made = planned(operations, depth)
    assert sum(map(len, made.runs)) < 2.5 * made.tuples
    assert max(map(len, made.runs)) <= LONGEST_RUN


def test_a_step_that_needs_a_live_session_has_one() -> None:
    for run in planned(SOME, 3).runs:
        ends: dict[int, float] = {}
        now = 0.0
        for step in run:
            operation = step.operation
            if operation.target is Target.LIVE:
                assert ends[step.slot] > now, names(run)
            if operation.name.startswith(("create", "update")):
                ends[step.slot] = now + operation.lasts(DEFAULT_TTL)
            elif operation.name == "remove":
                ends[step.slot] = 0
            elif operation.name == "clear":
                ends = dict.fromkeys(ends, 0.0)
            elif operation.name == "short time":
                now += operation.lasts(DEFAULT_TTL)


def test_a_seed_gives_one_plan_and_another_seed_another() -> None:
    first = planned(SOME, seed=1).runs
    plan.cache_clear()
    assert planned(SOME, seed=1).runs == first
    assert planned(SOME, seed=1).runs != planned(SOME, seed=2).runs


def test_without_a_capability_its_operations_are_left_out() -> None:
    few = operations_for(frozenset(), store_wide=False)
    assert {each.name for each in few} & {
        "clear",
        "cleanup",
        "short time",
        "read in an outage",
        "create in clear",
    } == set()
    assert len(operations_for(frozenset(Capability), store_wide=True)) == len(ALL_OPERATIONS)


def test_every_clause_that_a_sequence_can_break_has_a_test_that_reports_it() -> None:
    reported = {
        value.__clause_test__.clause for value in vars(suite_module).values() if hasattr(value, "__clause_test__")
    }
    broken = {clause for each in ALL_OPERATIONS for clause in (each.clause, each.harm)} | set(ANEW.values())
    broken |= {"EX-2", "EX-3", "EX-7", "EX-10", "CO-4", "DU-1", "EN-1", "EN-3", "EN-9", "MX-2"}
    assert broken <= reported
    assert reported <= {clause.id for clause in load_clauses()}
