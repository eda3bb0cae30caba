"""The summary at the end of a run, line by line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage.report import terminal
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.spec.outcome import Outcome


def test_the_summary_as_it_is_printed_after_a_run(every_outcome: Report) -> None:
    every_outcome.backends.pop()
    assert (
        terminal.plain(every_outcome, width=80)
        == """\
sqlite  revision 2026-11 · tier standard · seed 7
stores.sqlite:Harness, version 1.2.3

                                                                   not       not
                                 passed  failed  deviation  applicable  measured
  EX  Expiry                          1       1          1           ·         ·
  LC  Life cycle                      ·       1          ·           1         1

  ✗ EX-2 (MUST): get_session returned the session 1.2 s after its TTL of 1 s
      (should return None)
  D EX-10 (MUST): known: the server rounds; issue 12
  ! LC-3 (SHOULD): get_session returned the session 1.2 s after its TTL of 1 s
      (should return None)
  ? not measured: LC-2: the harness broke down: boom
  – not applicable: LC-1: needs SHARED
  + there, but not declared: DURABLE

problem: deviations.yaml:3: EX-1: the deviation is stale, the clause is kept
      now; delete the entry
sqlite: NOT CONFORMANT (1 passed, 1 failed, 1 failed SHOULD, 1 deviation, 1 not applicable, 1 not measured)
"""
    )


def test_what_was_not_judged_is_named(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport],
) -> None:
    backend = make_backend("memory", make_clause("RT-1"), verdict="conformant")
    backend.not_judged = ["encryption", "several processes"]
    backend.clauses[0].notes = ["left out: the IVs of two processes (needs CRASH)"]
    text = terminal.plain(make_report(backend))
    assert "memory: CONFORMANT (standard; not judged: encryption, several processes; " in text
    assert f"  ½ judged in part: {backend.clauses[0].id}: without the IVs of two processes (needs CRASH)" in text


def test_a_good_verdict_says_that_the_run_fails(every_outcome: Report) -> None:
    last = terminal.plain(every_outcome).splitlines()[-1]
    assert last == "memory: CONFORMANT (standard; 6 passed), but the run fails: 1 problem, above"


def test_the_verdicts_of_all_come_last(every_outcome: Report) -> None:
    last = terminal.plain(every_outcome).splitlines()[-2:]
    assert [line.partition(":")[0] for line in last] == ["sqlite", "memory"]


def test_a_reason_that_many_clauses_share_takes_one_line(unmeasured: Report) -> None:
    text = terminal.plain(unmeasured, width=80)
    assert "  ? not measured: EX-2 to EX-11: not selected by --mcp-clause\n" in text
    assert text.endswith("sqlite: NOT MEASURED (1 passed, 10 not measured)\n")


def test_a_whole_group_is_shown_by_its_name(unmeasured: Report) -> None:
    for clause in unmeasured.backends[0].clauses:
        clause.outcome, clause.message = Outcome.NOT_MEASURED, "not selected by --mcp-clause"
    assert "  ? not measured: EX: not selected by --mcp-clause\n" in terminal.plain(unmeasured, width=80)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_are_no_wider_than_the_terminal(every_outcome: Report, width: int) -> None:
    every_outcome.backends[0].clauses[1].message = "word " * 400
    lines = terminal.plain(every_outcome, width).splitlines()
    assert max(len(line) for line in lines[:-2]) <= width
    assert sum("word word" in line for line in lines) == 3, "pytest's list of failures has the whole of it"


def test_a_narrow_table_has_every_column(every_outcome: Report) -> None:
    every_outcome.groups["LC"] = "Life cycle of a session"
    assert """\
                                               not      not
                 passed failed deviation applicable measured
  EX  Expiry          1      1         1          ·        ·
  LC  Life cyc…       ·      1         ·          1        1
""" in terminal.plain(every_outcome, width=60)


def test_an_option_is_not_broken_in_two(unmeasured: Report) -> None:
    for clause in unmeasured.backends[0].clauses:
        clause.message = "it can't be reached, and --mcp-supabase=native starts one"
    words = [word for width in range(60, 100) for word in terminal.plain(unmeasured, width).split()]
    assert not [word for word in words if word.startswith("--mcp") and word != "--mcp-supabase=native"]


def test_what_failed_is_red_and_what_was_only_advised_is_not(every_outcome: Report) -> None:
    cells = {text.strip(): markup for line in terminal.lines(every_outcome, 80) for text, markup in line}
    assert cells["✗ EX-2 (MUST): get_session returned the session 1.2 s after its TTL of 1 s"] == {"red": True}
    assert cells["! LC-3 (SHOULD): get_session returned the session 1.2 s after its TTL of 1 s"] == {"yellow": True}


@pytest.mark.parametrize(("level", "colour"), [("MUST", "red"), ("SHOULD", "yellow")])
def test_a_count_has_the_colour_of_the_worst_it_counts(
    make_report: Callable[..., Report],
    make_backend: Callable[..., BackendReport],
    make_clause: Callable[..., ClauseReport],
    level: str,
    colour: str,
) -> None:
    rows = [make_clause("EX-1", Outcome.FAILED, level="SHOULD"), make_clause("EX-2", Outcome.FAILED, level=level)]
    found = terminal.lines(make_report(make_backend("sqlite", *rows)))
    assert [markup for line in found for text, markup in line if text.strip() == "2"] == [{colour: True}]


def test_no_text_of_a_store_controls_the_terminal(hostile: Report) -> None:
    text = terminal.plain(hostile)
    assert not {character for character in text if ord(character) < 32} - {"\n"}
    assert "\u202e" not in text
    text.encode("utf-8")


def test_it_is_written_in_pytests_words_for_colours(every_outcome: Report) -> None:
    class Writer:
        def __init__(self) -> None:
            self.text = ""

        def write(self, content: str, **markup: bool) -> None:
            assert set(markup) <= {"red", "green", "yellow", "bold", "light"}
            self.text += content

    writer = Writer()
    terminal.show(every_outcome, writer)
    assert [line.rstrip() for line in writer.text.splitlines()] == terminal.plain(every_outcome).splitlines()


def test_what_should_have_been_is_never_cut(every_outcome: Report) -> None:
    clause = every_outcome.backends[0].clauses[1]
    clause.message, clause.should = (
        "get_session raised ValueError: " + "word " * 400,
        "return the session that was created",
    )
    text = " ".join(terminal.plain(every_outcome, 60).split())
    assert "(should return the session that was created)" in text
    assert text.count("word") < 30
