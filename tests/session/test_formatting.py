"""The text of a measurement in the terminal."""

from __future__ import annotations

import pytest

from pytest_mcp_storage.session.formatting import WIDTH, explained, headline
from pytest_mcp_storage.spec.clauses import Clause, Level
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

CLAUSE = Clause("EX-2", Level.MUST, "After its TTL no read shows a session.", "w", frozenset(), ("t",), "EX", "Expiry")
ABOUT = {"name": "mystore:Harness", "harness": "mystore:Harness", "version": "unknown"}


def measured(outcome: Outcome = Outcome.FAILED, **fields: object) -> Measurement:
    return Measurement("EX-2", "t", outcome, **({"message": "get_session returned it 1.2 s after"} | fields))  # type: ignore[arg-type]


def test_a_failure_with_all_that_shows_it() -> None:
    seen = measured(
        should="return None",
        history=[
            "store.create_session(…, ttl=1)  →  None",
            "… 1.2 s pass …",
            "store.get_session('a', 's')  →  'old'",
        ],
        notes=["left out: the year (needs CLOCK)"],
    )
    assert (
        explained(seen, CLAUSE, ABOUT, "pytest --mcp-backend=mystore:Harness --mcp-clause=EX-2")
        == """\
EX-2 (MUST): get_session returned it 1.2 s after
  should:    return None
  contract:  After its TTL no read shows a session.
  backend:   mystore:Harness
  note:      left out: the year (needs CLOCK)
  history, as recorded:
    1  store.create_session(…, ttl=1)
         → None
    2  … 1.2 s pass …
    3  store.get_session('a', 's')
         → 'old'
  reproduce: pytest --mcp-backend=mystore:Harness --mcp-clause=EX-2"""
    )


def test_a_harness_that_broke_down_shows_its_traceback() -> None:
    seen = measured(Outcome.NOT_MEASURED, message="the harness broke down", fault="Traceback:\n  File x\n")
    shown = explained(seen, CLAUSE, ABOUT, "pytest")
    assert shown.startswith("EX-2 (MUST): not measured: the harness broke down\n")
    assert "  traceback:\n    Traceback:\n      File x\n  reproduce: pytest" in shown


@pytest.mark.parametrize(
    ("about", "shown"),
    [
        (ABOUT, "mystore:Harness"),
        ({"name": "sqlite", "harness": "h:H", "version": "0.1.0"}, "sqlite (h:H, version 0.1.0)"),
        ({"name": "sqlite", "harness": "", "version": "unknown"}, "sqlite"),
    ],
)
def test_the_backend_is_named_once(about: dict[str, str], shown: str) -> None:
    assert f"  backend:   {shown}\n" in explained(measured(), CLAUSE, about, "pytest")


def test_sentences_are_wrapped_and_calls_are_not() -> None:
    call = "store.get_session('a', '" + "s " * 200 + "')"
    seen = measured(should="word " * 60, history=[f"{call}  →  None"])
    lines = explained(seen, CLAUSE, ABOUT, "pytest").splitlines()
    assert max(len(line) for line in lines if "word" in line) <= WIDTH
    assert f"    1  {call}" in lines


def test_an_option_is_not_broken_in_two() -> None:
    for count in range(30):
        seen = measured(should=f"{'word ' * count}--mcp-allow-destructive")
        assert "--mcp-allow-destructive\n" in explained(seen, CLAUSE, ABOUT, "pytest")


def test_the_headline_is_one_line_without_control_characters() -> None:
    seen = measured(message="boom\n  DETAIL: \x1b]0;title\x07\ttwo")
    assert headline(CLAUSE, seen) == "EX-2 (MUST): boom DETAIL: \\x1b]0;title\\x07 two"
    everything = explained(measured(message="\x1b", should="\x1b", history=["\x1b"], notes=["\x1b"], fault="\x1b"),
                           CLAUSE, {**ABOUT, "name": "\x1b"}, "\x1b")  # fmt: skip
    assert "\x1b" not in everything
