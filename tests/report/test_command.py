"""``mcp-storage report``, as users type it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import main
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report, verdict_of
from pytest_mcp_storage.report.write import RENDERERS, write
from pytest_mcp_storage.spec.outcome import Outcome


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


@pytest.fixture
def saved(tmp_path: Path, make_report: Callable[..., Report], make_backend: Callable[..., BackendReport],
          make_clause: Callable[..., ClauseReport]) -> Callable[..., Path]:  # fmt: skip
    """Return a function that saves a report of one backend."""

    def save(file: str, backend: str, outcome: Outcome = Outcome.PASSED, **fields: str) -> Path:
        path = tmp_path / file
        row = make_clause("EX-1", outcome)
        write(make_report(make_backend(backend, row, verdict=verdict_of([row], strict=False)), **fields), path)
        return path

    return save


def test_runs_are_put_side_by_side_in_every_form(saved: Callable[..., Path], tmp_path: Path) -> None:
    one, two = saved("a.json", "memory"), saved("b.json", "redis")
    targets = [tmp_path / f"matrix{ending}" for ending in RENDERERS]
    done = run(one, two, *(word for path in targets for word in ("-o", path)))
    assert done.exit_code == 0, done.output
    for path in targets:
        text = path.read_text(encoding="utf-8")
        assert "memory" in text
        assert "redis" in text
    merged = Report.load(tmp_path / "matrix.json")
    assert [backend.name for backend in merged.backends] == ["memory", "redis"]


def test_without_an_output_the_summary_is_printed(saved: Callable[..., Path]) -> None:
    done = run(saved("a.json", "memory"))
    assert done.stdout.endswith("memory: CONFORMANT (standard; 1 passed)\n")
    assert "EX  Expiry" in done.stdout


@pytest.mark.parametrize(("wish", "coloured"), [("1", False), ("", True)])
def test_no_colour_where_none_is_wished(saved: Callable[..., Path], wish: str, coloured: bool) -> None:
    path = saved("a.json", "memory")
    done = CliRunner(env={"NO_COLOR": wish}).invoke(main, ["report", str(path)], color=True)
    assert ("\x1b[" in done.stdout) is coloured


def test_the_later_of_two_reports_on_one_backend_is_taken_and_that_is_reported(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    old, new = saved("old.json", "redis", Outcome.FAILED), saved("new.json", "redis")
    done = run(old, new, "-o", tmp_path / "m.json")
    assert f"redis occurs in {old} and in {new}: the later is taken" in done.stderr
    assert Report.load(tmp_path / "m.json").backends[0].clauses[0].outcome is Outcome.PASSED


def test_different_revisions_are_refused_and_nothing_is_written(saved: Callable[..., Path], tmp_path: Path) -> None:
    done = run(saved("a.json", "memory"), saved("b.json", "redis", revision="2027-03"), "-o", tmp_path / "m.html")
    assert done.exit_code == 1
    assert "2027-03" in done.stderr
    assert not (tmp_path / "m.html").exists()


def test_one_backend_can_be_picked_out_for_its_badge(saved: Callable[..., Path], tmp_path: Path) -> None:
    reports = saved("a.json", "memory"), saved("b.json", "redis")
    assert run(*reports, "--backend", "redis", "-o", tmp_path / "redis.svg").exit_code == 0
    assert "MCP storage · redis" in (tmp_path / "redis.svg").read_text(encoding="utf-8")
    unknown = run(*reports, "--backend", "sqlite", "-o", tmp_path / "x.svg")
    assert unknown.exit_code == 2
    assert "memory, redis" in unknown.stderr


@pytest.mark.parametrize(
    ("output", "reported"), [("m.pdf", ".json, .html, .md, .svg"), ("absent/m.html", "folder"), (".", "ending")]
)
def test_an_output_that_cannot_be_written_is_refused(
    saved: Callable[..., Path], tmp_path: Path, output: str, reported: str
) -> None:
    done = run(saved("a.json", "memory"), "-o", tmp_path / output)
    assert done.exit_code == 2
    assert reported in done.stderr


def test_a_file_that_is_no_report_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"hello": 1}')
    done = run(path)
    assert done.exit_code == 1
    assert "other.json: not a report of this suite" in done.stderr


def test_a_verdict_that_its_clauses_do_not_bear_out_is_refused(saved: Callable[..., Path]) -> None:
    path = saved("a.json", "memory", Outcome.FAILED)
    path.write_text(path.read_text().replace('"not_conformant"', '"conformant"'))
    done = run(path)
    assert done.exit_code == 1
    assert "a.json: 'memory' is called conformant, and its clauses say not_conformant" in done.stderr


def test_a_report_is_needed() -> None:
    assert run().exit_code == 2
