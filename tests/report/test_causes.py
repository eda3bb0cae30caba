"""Failures are grouped by cause, and a mutant is named only above the threshold."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.report import causes
from pytest_mcp_storage.report.causes import causes_of
from pytest_mcp_storage.report.fingerprint import kind_of
from pytest_mcp_storage.report.model import ClauseReport
from pytest_mcp_storage.report.similarity import Diagnosis, Table, calibrated
from pytest_mcp_storage.spec.outcome import Outcome

MUTANTS = {
    "ServesExpired": {"clauses": ["EX-2"], "why": "Reads do not check expiry.",
                      "failed": {"EX-2": "get_session expired", "EX-6": "get_session expired"}},
    "ServesExpiredToo": {"clauses": ["EX-2"], "why": "Checks expiry in the job alone.",
                         "failed": {"EX-2": "get_session expired", "EX-6": "get_session expired",
                                    "EX-7": "get_session expired"}},
    "CutsNames": {"clauses": ["ID-3"], "why": "Cuts names.", "failed": {"ID-3": "get_session unknown"}},
}  # fmt: skip


def failed(id: str, kind: str, calls: int = 2) -> ClauseReport:
    method, _, words = kind.partition(" ")
    scenario = {"finding": {"method": method, "kind": words}, "steps": []}
    return ClauseReport(id, "MUST", Outcome.FAILED, kind=kind, scenario=scenario, history=["call"] * calls)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "signatures", lambda: {"mutants": MUTANTS, "threshold": 0.5})


def test_one_defect_is_one_cause() -> None:
    (cause,) = causes_of(
        [failed("EX-2", "get_session expired"), failed("EX-6", "get_session expired")], {"EX-2", "EX-6"}
    )
    assert (cause.clauses, cause.first) == (["EX-2", "EX-6"], "EX-2")
    assert cause.line.startswith("expired sessions are still there (like ServesExpired")
    assert cause.why in ("Reads do not check expiry.", "Checks expiry in the job alone.")


def test_a_stranger_gets_no_diagnosis() -> None:
    (cause,) = causes_of([failed("RT-1", "get_session changed tokens", 3)], {"RT-1", "EX-2"})
    assert cause.like == ""
    assert cause.line == "changed tokens · fix RT-1 first · 3-call history"


def test_a_failure_that_no_replay_confirms_has_no_known_pattern() -> None:
    seen = ClauseReport("EN-1", "MUST", Outcome.FAILED, kind="the store holds a token in clear")
    (cause,) = causes_of([seen], {"EN-1"})
    assert cause.line == "no known pattern · fix EN-1 first"


def test_faults_that_differ_are_several_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "signatures", lambda: {"mutants": {}, "threshold": None})
    found = causes_of([failed("EX-2", "get_session expired"), failed("EX-3", "update_session accepted expired"),
                       failed("ID-1", "get_session missing")], set())  # fmt: skip
    assert [each.clauses for each in found] == [["EX-2", "EX-3"], ["ID-1"]]


def test_the_threshold_is_measured_without_the_mutant_itself() -> None:
    found = calibrated(MUTANTS, 0.9)
    assert (found["precision"], found["top1"]) == (1.0, pytest.approx(2 / 3, abs=0.001))
    assert found["coverage"] == pytest.approx(2 / 3, abs=0.001)


def test_names_and_numbers_do_not_count() -> None:
    assert kind_of("'a.1' lists 12 ids", {}) == kind_of("'b.77' lists 3 ids", {})
    assert Table(MUTANTS).nearest({"XX-1": "odd"}) is None


def test_a_pattern_that_explains_none_of_the_failures_is_no_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    like = Diagnosis("CutsNames", "names", 0.9, ("names",))
    monkeypatch.setattr(causes, "diagnose", lambda *_: like)
    (cause,) = causes_of([failed("RT-1", "get_session changed tokens")], {"RT-1"})
    assert (cause.like, cause.clauses) == ("", ["RT-1"])
