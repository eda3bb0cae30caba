"""Example reports: one with every outcome, and one in which every text is hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_mcp_storage.report.model import (
    CONFORMANT,
    NOT_CONFORMANT,
    NOT_MEASURED,
    BackendReport,
    ClauseReport,
    Report,
)
from pytest_mcp_storage.spec.outcome import Outcome

HOSTILE = (
    "</script><script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>{{7*7}}"
    "|`*_[x](javascript:window.pwned=1) @someone #1 https://evil.example/ "
    "\x00\x07\x1b[31m\u202e\ud800\ufffe 👩‍👩‍👧\n</details>\t# x"
)
"""Markup, Markdown, a mention, a link, controls, reversed text, a lone surrogate, an emoji, a line break."""

STAND_ALONE = "def test_ex_2():\n    assert '<b>' == \"it's expired\"\n"


def clause(id: str, outcome: Outcome = Outcome.PASSED, **fields: Any) -> ClauseReport:
    given: dict[str, Any] = {
        "level": "MUST",
        "statement": f"What {id} says.",
        "group": id.partition("-")[0],
        "examples": 40,
    } | fields
    given.setdefault("reproduce", f"pytest --mcp-backend=sqlite --mcp-clause={id} --hypothesis-seed=7")
    return ClauseReport(id=id, outcome=outcome, **given)


def backend(name: str, *clauses: ClauseReport, **fields: Any) -> BackendReport:
    given: dict[str, Any] = {"harness": f"stores.{name}:Harness", "version": "1.2.3", "capabilities": ["KEY"]} | fields
    given.setdefault("verdict", CONFORMANT)
    return BackendReport(name=name, clauses=list(clauses), **given)


def report(*backends: BackendReport, **fields: Any) -> Report:
    given: dict[str, Any] = {
        "suite": "pytest-mcp-storage 0.1.0",
        "revision": "2026-11",
        "tier": "standard",
        "seed": 7,
    } | fields
    given.setdefault("groups", {"EX": "Expiry", "LC": "Life cycle"})
    return Report(backends=list(backends), **given)


@pytest.fixture
def make_clause() -> Callable[..., ClauseReport]:
    return clause


@pytest.fixture
def make_backend() -> Callable[..., BackendReport]:
    return backend


@pytest.fixture
def make_report() -> Callable[..., Report]:
    return report


@pytest.fixture
def every_outcome() -> Report:
    """Return a report of two backends: ``sqlite`` with each outcome once, ``memory`` with only passes."""
    history = ["store.create_session(…, ttl=1)  →  None", "… 1.2 s pass …", "store.get_session('a', 's')  →  'old'"]
    seen = {"message": "get_session returned the session 1.2 s after its TTL of 1 s", "should": "return None"}
    rows = (
        clause("EX-1"),
        clause(
            "EX-2",
            Outcome.FAILED,
            history=history,
            notes=["left out: a half (needs KEY)"],
            stand_alone=STAND_ALONE,
            reproducer="repro/test_sqlite_ex_2.py",
            **seen,
        ),
        clause("EX-10", Outcome.DEVIATION, deviation="the server rounds; issue 12", history=history, **seen),
        clause("LC-1", Outcome.NOT_APPLICABLE, message="needs SHARED"),
        clause("LC-2", Outcome.NOT_MEASURED, message="the harness broke down: boom", fault="Traceback\n  boom"),
        clause("LC-3", Outcome.FAILED, level="SHOULD", **seen),
    )
    plain = (clause(row.id, level=row.level) for row in rows)
    return report(
        backend("sqlite", *rows, verdict=NOT_CONFORMANT, undeclared=["DURABLE"]),
        backend("memory", *plain),
        problems=["deviations.yaml:3: EX-1: the deviation is stale, the clause is kept now; delete the entry"],
        when="2026-11-23T17:44:00+00:00",
    )


@pytest.fixture
def hostile() -> Report:
    """Return a report in which every text that may come from elsewhere is hostile."""
    rows = [
        clause(
            id,
            outcome,
            level=level,
            statement=HOSTILE,
            message=HOSTILE,
            should=HOSTILE,
            history=[HOSTILE, f"{HOSTILE}  →  {HOSTILE}"],
            notes=[HOSTILE],
            fault=HOSTILE,
            deviation=HOSTILE,
            reproduce=HOSTILE,
            stand_alone=HOSTILE,
            reproducer=HOSTILE,
        )
        for id, outcome, level in (
            ("EX-1", Outcome.FAILED, "MUST"),
            ("EX-2", Outcome.DEVIATION, HOSTILE),
            (HOSTILE, Outcome.NOT_MEASURED, "MUST"),
        )
    ]
    evil = backend(HOSTILE, *rows, harness=HOSTILE, version=HOSTILE, capabilities=[HOSTILE], verdict=HOSTILE)
    evil.undeclared = [HOSTILE]
    groups = {"EX": HOSTILE, HOSTILE: HOSTILE}
    return report(evil, suite=HOSTILE, revision=HOSTILE, tier=HOSTILE, problems=[HOSTILE], groups=groups, when=HOSTILE)


@pytest.fixture
def hostile_text() -> str:
    return HOSTILE


@pytest.fixture
def unmeasured() -> Report:
    """Return the report of a run of a part of the contract."""
    why = "not selected by --mcp-clause"
    rows = [clause(f"EX-{n}", Outcome.NOT_MEASURED, message=why) for n in range(2, 12)]
    return report(backend("sqlite", clause("EX-1"), *rows, verdict=NOT_MEASURED))
