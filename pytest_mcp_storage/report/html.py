"""The report as one page without external files: a matrix of clauses by backends, each cell with its evidence."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pytest_mcp_storage.report import labels
from pytest_mcp_storage.report.escaping import printable
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.spec.clause_ids import natural

_FOLDER = files(__package__).joinpath("page")


@dataclass(frozen=True)
class Cell:
    """One clause on one backend. ``id``: of its panel in the page. ``clause``: ``None`` if the run did not know it."""

    id: str
    backend: BackendReport
    clause: ClauseReport | None

    @property
    def label(self) -> labels.Label:
        """Return how the matrix shows it."""
        if self.clause is None:
            return labels.Label("absent", "", "not in this run", "")
        return labels.label(self.clause)

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Return the history, each call separated from its result."""
        lines = self.clause.history if self.clause else []
        return [(before.rstrip(), after.lstrip()) for before, _, after in (line.partition("  →  ") for line in lines)]


@dataclass(frozen=True)
class Row:
    """One clause on every backend."""

    id: str
    level: str
    statement: str
    cells: tuple[Cell, ...]

    @property
    def clean(self) -> bool:
        """Say whether the row needs no attention."""
        quiet = (labels.PASSED.key, labels.NOT_APPLICABLE.key, "absent")
        return all(cell.label.key in quiet for cell in self.cells)


@dataclass(frozen=True)
class Band:
    """The rows of a clause group."""

    id: str
    title: str
    rows: tuple[Row, ...]

    @property
    def clean(self) -> bool:
        """Say the same of all its rows."""
        return all(row.clean for row in self.rows)


def as_html(report: Report) -> str:
    """Return the page. It loads nothing, and its own policy forbids it to."""
    style, script = _read("page.css"), _read("page.js")
    matrix = list(bands(report))
    cells = [cell for band in matrix for row in band.rows for cell in row.cells]
    page: str = _template().render(
        report=report,
        bands=matrix,
        panels={(cell.backend.name, cell.clause.id): cell.id for cell in cells if cell.clause},
        labels=labels,
        breakable=breakable,
        seconds=seconds,
        history_name=labels.history_name,
        style=Markup(style),  # noqa: S704  # the package's own
        script=Markup(script),  # noqa: S704
        style_hash=content_hash(style),
        script_hash=content_hash(script),
    )
    return page


def breakable(name: str) -> Markup:
    """Return a backend's name that may break after a dot, a colon or a slash."""
    return Markup("<wbr>").join(re.split(r"(?<=[.:/])", printable(name)))


def seconds(count: float) -> str:
    """Return three digits, never with an exponent."""
    return f"{count:.3g}" if count < 100 else f"{count:.0f}"


def bands(report: Report) -> Iterator[Band]:
    """Yield the matrix, group by group, in the contract's order."""
    by_id = [{clause.id: clause for clause in backend.clauses} for backend in report.backends]
    known: dict[str, ClauseReport] = {}
    for clauses in by_id:
        for id, clause in clauses.items():
            if id not in known or not known[id].statement:
                known[id] = clause
    numbered = list(enumerate(sorted(known.values(), key=lambda clause: natural(clause.id))))
    for group, title in report.groups.items():
        rows = [
            Row(
                first.id,
                first.level,
                first.statement,
                tuple(
                    Cell(f"c{column}-{number}", backend, clauses.get(first.id))
                    for column, (backend, clauses) in enumerate(zip(report.backends, by_id, strict=True))
                ),
            )
            for number, first in numbered
            if first.group == group
        ]
        if rows:
            yield Band(group, title, tuple(rows))


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=shown,
    )
    return environment.from_string(_read("page.html.jinja"))


def shown(value: Any) -> Any:
    """Make invisible characters of each text visible; the template escapes the result."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def _read(name: str) -> str:
    return _FOLDER.joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """Return the hash by which the page's security policy allows its own script and style."""
    return b64encode(sha256(text.encode()).digest()).decode()
