"""From measurements to outcomes, to a verdict, to an exit code."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.engine.tiers import TIERS
from pytest_mcp_storage.report.model import CONFORMANT, NOT_CONFORMANT, NOT_MEASURED, WITH_DEVIATIONS, Report
from pytest_mcp_storage.session.deviations import Deviation
from pytest_mcp_storage.session.options import Options
from pytest_mcp_storage.session.verdict import judge, left_alone, passes
from pytest_mcp_storage.spec.clauses import Clause, Level
from pytest_mcp_storage.spec.outcome import UNDECLARED, Measurement, Outcome

PASSED, FAILED, NOT_APPLICABLE, UNMEASURED = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.NOT_APPLICABLE,
    Outcome.NOT_MEASURED,
)
ABOUT = {"harness": "m:H", "version": "1", "capabilities": ["KEY"]}
YESTERDAY = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)


def clause(id: str, level: Level = Level.MUST, tests: tuple[str, ...] = ()) -> Clause:
    group = id.partition("-")[0]
    return Clause(id, level, f"{id} holds.", "Because.", frozenset(), tests or (f"test_{id}",), group, f"Group {group}")


CONTRACT = (clause("EX-1"), clause("EX-2", tests=("test_a", "test_b")), clause("LC-12", Level.SHOULD))


def options(**fields: Any) -> Options:
    given: dict[str, Any] = {
        "backends": ("sqlite",),
        "tier": TIERS["standard"],
        "revision": "2026-11",
        "clauses": CONTRACT,
        "selected": frozenset(each.id for each in CONTRACT),
        "seed": 7,
        "strict": False,
        "destructive": False,
        "deviations": Path("known.yaml"),
        "reports": (),
    }
    return Options(**(given | fields))


def measured(**outcomes: Outcome) -> list[Measurement]:
    """Return what a run saw of each test, all passed except the named ones: ``test_a=FAILED``, ``EX_1=FAILED``."""
    tests = {"EX_1": ("EX-1", "test_EX-1"), "test_a": ("EX-2", "test_a"), "test_b": ("EX-2", "test_b"),
             "LC_12": ("LC-12", "test_LC-12")}  # fmt: skip
    return [
        Measurement(clause, test, outcomes.get(name, PASSED), message=f"{name} saw it", examples=2, seconds=0.25)
        for name, (clause, test) in tests.items()
    ]


Judge = Callable[..., tuple[Report, bool]]


@pytest.fixture
def judged() -> Judge:
    """Return the report of what was measured on ``sqlite``, and whether the run passes."""

    def make(found: list[Measurement], *deviations: Deviation, **asked: Any) -> tuple[Report, bool]:
        given = options(**asked)
        report = judge(given, deviations, dict.fromkeys(given.backends, found), dict.fromkeys(given.backends, ABOUT))
        return report, passes(given, report)

    return make


def outcome_of(report: Report, id: str) -> Outcome:
    return next(row.outcome for row in report.backends[0].clauses if row.id == id)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (PASSED, PASSED, PASSED),
        (PASSED, FAILED, FAILED),
        (FAILED, UNMEASURED, FAILED),
        (UNMEASURED, PASSED, UNMEASURED),
        (PASSED, NOT_APPLICABLE, PASSED),
        (NOT_APPLICABLE, NOT_APPLICABLE, NOT_APPLICABLE),
        (NOT_APPLICABLE, UNMEASURED, UNMEASURED),
    ],
)
def test_a_clause_is_what_the_worst_of_its_tests_saw(
    judged: Judge, first: Outcome, second: Outcome, together: Outcome
) -> None:
    for pair in ((first, second), (second, first)):
        report, _ = judged(measured(test_a=pair[0], test_b=pair[1]))
        assert outcome_of(report, "EX-2") is together


@pytest.mark.parametrize("lost", ["test_a", "test_b"])
def test_a_clause_that_lost_a_test_is_not_measured(judged: Judge, lost: str) -> None:
    report, good = judged([each for each in measured() if each.test != lost])
    assert outcome_of(report, "EX-2") is UNMEASURED
    row = report.backends[0].clauses[1]
    assert "did not run" in row.message
    assert (report.backends[0].verdict, good) == (NOT_MEASURED, False)


def test_a_failure_is_reported_if_another_test_of_the_clause_was_lost(judged: Judge) -> None:
    report, good = judged([each for each in measured(test_a=FAILED) if each.test != "test_b"])
    assert outcome_of(report, "EX-2") is FAILED
    assert (report.backends[0].verdict, good) == (NOT_CONFORMANT, False)


def test_a_run_without_any_measurement_is_not_green(judged: Judge) -> None:
    report, good = judged([])
    assert {row.outcome for row in report.backends[0].clauses} == {UNMEASURED}
    assert (report.backends[0].verdict, good) == (NOT_MEASURED, False)


@pytest.mark.parametrize(
    ("seen", "strict", "verdict", "good"),
    [
        ({}, False, CONFORMANT, True),
        ({"EX_1": NOT_APPLICABLE}, False, CONFORMANT, True),
        ({"EX_1": FAILED}, False, NOT_CONFORMANT, False),
        ({"EX_1": UNMEASURED}, False, NOT_MEASURED, False),
        ({"EX_1": UNMEASURED, "test_a": FAILED}, False, NOT_CONFORMANT, False),
        ({"LC_12": FAILED}, False, CONFORMANT, True),
        ({"LC_12": FAILED}, True, NOT_CONFORMANT, False),
        ({"LC_12": UNMEASURED}, False, CONFORMANT, True),
        ({"LC_12": UNMEASURED}, True, CONFORMANT, True),
    ],
)
def test_the_verdict_and_the_exit_code(
    judged: Judge, seen: dict[str, Outcome], strict: bool, verdict: str, good: bool
) -> None:
    report, passing = judged(measured(**seen), strict=strict)
    assert (report.backends[0].verdict, passing) == (verdict, good)


@pytest.mark.parametrize(
    ("selected", "seen", "good"),
    [
        (("EX-1",), {}, True),
        (("EX-1",), {"EX_1": FAILED}, False),
        (("EX-1",), {"EX_1": UNMEASURED}, False),
        (("LC-12",), {}, True),
        (("LC-12",), {"LC_12": FAILED}, True),
        (("LC-12",), {"LC_12": UNMEASURED}, False),
    ],
)
def test_a_partial_run_passes_by_what_was_selected_and_acquits_nobody(
    judged: Judge, selected: tuple[str, ...], seen: dict[str, Outcome], good: bool
) -> None:
    found = [each for each in measured(**seen) if each.clause in selected]
    report, passing = judged(found, selected=frozenset(selected))
    assert passing is good
    assert report.backends[0].verdict in (NOT_MEASURED, NOT_CONFORMANT)
    assert {row.message for row in report.backends[0].clauses if row.id not in selected} == {
        "not selected by --mcp-clause"
    }


def test_every_backend_must_pass(judged: Judge) -> None:
    given = options(backends=("sqlite", "redis"))
    seen = {"sqlite": measured(), "redis": measured(EX_1=FAILED)}
    report = judge(given, (), seen, {"sqlite": ABOUT, "redis": ABOUT})
    assert [each.verdict for each in report.backends] == [CONFORMANT, NOT_CONFORMANT]
    assert not passes(given, report)


def test_one_backend_that_was_not_measured_at_all_fails_the_run_of_all() -> None:
    """A backend of which only a SHOULD was selected counts too: a named backend is never skipped."""
    given = options(backends=("sqlite", "lost"), selected=frozenset({"LC-12"}))
    report = judge(given, (), {"sqlite": measured()[3:]}, {"sqlite": ABOUT})
    assert not passes(given, report)


def test_a_backend_that_nothing_is_known_of_is_reported_as_not_measured() -> None:
    given = options(backends=("sqlite", "lost"))
    report = judge(given, (), {"sqlite": measured()}, {"sqlite": ABOUT})
    assert [each.verdict for each in report.backends] == [CONFORMANT, NOT_MEASURED]
    assert not passes(given, report)


def test_a_row_holds_what_was_seen(judged: Judge) -> None:
    found = measured(test_b=FAILED)
    found[2].should, found[2].history, found[2].fault = "keep it", ["call"], ""
    found[1].notes = found[2].notes = ["left out: a half", f"{UNDECLARED}SHARED"]
    report, _ = judged(found)
    row = report.backends[0].clauses[1]
    assert (row.message, row.should, row.history) == ("test_b saw it", "keep it", ["call"])
    assert (row.examples, row.seconds, row.level, row.group) == (4, 0.5, "MUST", "EX")
    assert row.notes == ["left out: a half"]
    assert row.reproduce == "pytest --mcp-backend=sqlite --mcp-clause=EX-2 --hypothesis-seed=7"
    assert report.backends[0].undeclared == ["SHARED"]
    assert report.groups == {"EX": "Group EX", "LC": "Group LC"}
    assert datetime.datetime.fromisoformat(report.when).tzinfo is datetime.UTC


def test_the_traceback_of_a_harness_that_broke_down_is_kept(judged: Judge) -> None:
    found = measured(EX_1=UNMEASURED)
    found[0].fault = "Traceback: boom"
    assert judged(found)[0].backends[0].clauses[0].fault == "Traceback: boom"


@pytest.mark.parametrize(
    ("backend", "command"),
    [
        ("stdio:node it.mjs", "pytest '--mcp-backend=stdio:node it.mjs' --mcp-clause=EX-1 --hypothesis-seed=7"),
        ("a'b$(c)", """pytest '--mcp-backend=a'"'"'b$(c)' --mcp-clause=EX-1 --hypothesis-seed=7"""),
    ],
)
def test_the_command_can_be_pasted_into_a_shell(judged: Judge, backend: str, command: str) -> None:
    report, _ = judged([], backends=(backend,))
    assert report.backends[0].clauses[0].reproduce == command


# -- deviations ------------------------------------------------------------------------------------------------------


def test_a_listed_failure_is_a_deviation_and_the_run_passes(judged: Judge) -> None:
    entry = Deviation("EX-2", "the server rounds", 3, link="https://tracker.example/7")
    report, good = judged(measured(test_a=FAILED), entry)
    row = report.backends[0].clauses[1]
    assert (row.outcome, row.deviation) == (Outcome.DEVIATION, "the server rounds (https://tracker.example/7)")
    assert row.message == "test_a saw it"
    assert (report.backends[0].verdict, good, report.problems) == (WITH_DEVIATIONS, True, [])


def test_a_listed_should_is_a_deviation_too(judged: Judge) -> None:
    report, good = judged(measured(LC_12=FAILED), Deviation("LC-12", "r", 1), strict=True)
    assert (report.backends[0].verdict, good) == (WITH_DEVIATIONS, True)


def test_the_entry_for_this_backend_speaks_before_the_one_for_all(judged: Judge) -> None:
    entries = (Deviation("EX-1", "all", 1), Deviation("EX-1", "mine", 2, backend="sqlite"))
    assert judged(measured(EX_1=FAILED), *entries)[0].backends[0].clauses[0].deviation == "mine"


def test_an_entry_for_another_backend_excuses_nothing_and_is_not_stale(judged: Judge) -> None:
    report, good = judged(measured(EX_1=FAILED), Deviation("EX-1", "r", 1, backend="redis"))
    assert (outcome_of(report, "EX-1"), report.problems, good) == (FAILED, [], False)


def test_a_backend_that_entries_speak_of_and_no_run_judges_is_named_once() -> None:
    entries = [
        Deviation("EX-1", "r", line, backend=name) for line, name in enumerate(["a", "sqlite", "", "b", "a"], start=1)
    ]
    assert left_alone(options(), entries) == [
        "known.yaml:1 names backend 'a', which this run does not judge",
        "known.yaml:4 names backend 'b', which this run does not judge",
    ]


def test_an_entry_does_not_excuse_what_was_not_measured(judged: Judge) -> None:
    report, good = judged(measured(EX_1=UNMEASURED), Deviation("EX-1", "r", 1))
    assert (outcome_of(report, "EX-1"), report.problems, good) == (UNMEASURED, [], False)


@pytest.mark.parametrize(
    ("seen", "why"), [(PASSED, "the clause passes now"), (NOT_APPLICABLE, "the clause does not apply here")]
)
def test_a_stale_entry_fails_the_run_and_says_which_line_to_delete(judged: Judge, seen: Outcome, why: str) -> None:
    report, good = judged(measured(EX_1=seen), Deviation("EX-1", "r", 12))
    assert report.problems == [f"known.yaml:12: EX-1: the deviation is stale, {why}; delete the entry"]
    assert not good


def test_an_entry_is_stale_only_where_every_backend_keeps_the_clause() -> None:
    given = options(backends=("sqlite", "redis"))
    seen = {"sqlite": measured(), "redis": measured(EX_1=FAILED)}
    report = judge(given, (Deviation("EX-1", "r", 1),), seen, {})
    assert report.problems == []
    assert passes(given, report)


def test_an_expired_entry_excuses_nothing_and_fails_the_run(judged: Judge) -> None:
    for seen in (FAILED, PASSED):
        report, good = judged(measured(EX_1=seen), Deviation("EX-1", "r", 4, expires=YESTERDAY))
        assert outcome_of(report, "EX-1") is seen
        assert [problem.split(";")[0] for problem in report.problems] == [
            f"known.yaml:4: EX-1: the deviation expired on {YESTERDAY}"
        ]
        assert not good


def test_an_entry_of_a_clause_that_was_not_selected_is_left_alone(judged: Judge) -> None:
    report, good = judged(measured()[:1], Deviation("EX-2", "r", 1), selected=frozenset({"EX-1"}))
    assert (report.problems, good) == ([], True)
