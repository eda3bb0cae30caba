"""Several runs as one report."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage.report.merge import merge
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report, ReportError
from pytest_mcp_storage.spec.outcome import Outcome

Make = Callable[..., Report]
MakeBackend = Callable[..., BackendReport]
MakeClause = Callable[..., ClauseReport]


def test_one_report_stays_as_it_is(every_outcome: Report) -> None:
    assert merge([("a.json", every_outcome)]) == (every_outcome, [])


def test_backends_of_several_runs_are_listed_with_their_own_tier_and_seed(
    make_report: Make, make_backend: MakeBackend
) -> None:
    first = make_report(make_backend("memory"), tier="smoke", seed=1, when="2026-11-02T00:00:00+00:00")
    second = make_report(make_backend("redis"), tier="deep", seed=2, when="2026-11-01T00:00:00+00:00")
    merged, remarks = merge([("a.json", first), ("b.json", second)])
    assert [backend.name for backend in merged.backends] == ["memory", "redis"]
    assert [merged.about(backend) for backend in merged.backends] == ["tier smoke · seed 1", "tier deep · seed 2"]
    assert (merged.tier, merged.suite, merged.when) == ("mixed", first.suite, first.when)
    assert remarks == []
    assert first.backends[0].tier == "", "what was merged stays as it was"


def test_merged_reports_can_be_merged_again(make_report: Make, make_backend: MakeBackend) -> None:
    pair = merge(
        [("a", make_report(make_backend("memory"), seed=1)), ("b", make_report(make_backend("redis"), seed=2))]
    )
    again, _ = merge([("ab", pair[0]), ("c", make_report(make_backend("file"), seed=3))])
    assert [again.about(backend)[-1] for backend in again.backends] == ["1", "2", "3"]


def test_of_the_same_backend_the_later_is_taken_and_that_is_reported(
    make_report: Make, make_backend: MakeBackend, make_clause: MakeClause
) -> None:
    old = make_report(make_backend("redis", make_clause("EX-1", Outcome.FAILED)), make_backend("memory"))
    new = make_report(make_backend("redis", make_clause("EX-1")))
    merged, remarks = merge([("old.json", old), ("new.json", new)])
    assert [(each.name, len(each.clauses)) for each in merged.backends] == [("redis", 1), ("memory", 0)]
    assert merged.backends[0].clauses[0].outcome is Outcome.PASSED
    assert remarks == ["redis occurs in old.json and in new.json: the later is taken"]


def test_runs_by_different_revisions_do_not_go_together(make_report: Make, make_backend: MakeBackend) -> None:
    old, new = make_report(make_backend("memory")), make_report(make_backend("redis"), revision="2027-03")
    with pytest.raises(ReportError, match=r"a\.json by 2026-11, b\.json by 2027-03.*--mcp-revision"):
        merge([("a.json", old), ("b.json", new)])


def test_problems_keep_the_name_of_their_run_and_groups_keep_their_titles(
    make_report: Make, make_backend: MakeBackend
) -> None:
    bare = make_report(make_backend("memory"), groups={"EX": "", "CO": ""}, problems=["stale"])
    full = make_report(make_backend("redis"), groups={"EX": "Expiry", "RT": "Round trip"})
    merged, _ = merge([("a.json", bare), ("b.json", full)])
    assert merged.problems == ["a.json: stale"]
    assert merged.groups == {"EX": "Expiry", "CO": "", "RT": "Round trip"}
