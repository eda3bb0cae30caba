"""``mcp-storage explain``: the causes of the failures in a report."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mcp_storage.report.causes import add_causes
from pytest_mcp_storage.report.escaping import one_line, printable
from pytest_mcp_storage.report.model import BackendReport, Report, ReportError


@click.command()
@click.argument("report", metavar="REPORT.json", type=click.Path(path_type=Path))
def explain(report: Path) -> None:
    """Print the causes of the failures in a JSON report, and the shortest history of each.

    A cause is what several failed clauses have in common. If the failures are like those of a store with a known
    fault, that fault is named.
    """
    try:
        loaded = Report.load(report)
    except ReportError as error:
        raise click.ClickException(str(error)) from None
    for backend in loaded.backends:
        add_causes(backend)
        click.echo("\n".join(_lines(backend)))


def _lines(backend: BackendReport) -> list[str]:
    if not backend.causes:
        return [f"{one_line(backend.name)}: no clause failed"]
    clauses = sum(len(cause.clauses) for cause in backend.causes)
    count = len(backend.causes)
    found = [f"{one_line(backend.name)}: {count} {'cause' if count == 1 else 'causes'}, {clauses} failed clauses"]
    by_id = {clause.id: clause for clause in backend.clauses}
    for number, cause in enumerate(backend.causes, 1):
        first = by_id[cause.first]
        found += ["", f"{number}. {one_line(cause.line)}", f"   clauses: {one_line(backend.folded(cause.clauses))}"]
        found += [f"   {one_line(cause.like)} is a broken store of the zoo: {one_line(cause.why)}"] if cause.why else []
        found += [f"   {first.id}: {one_line(first.message)}", *(f"     {one_line(line)}" for line in first.history)]
        found += [f"   reproduce: {printable(first.reproduce)}"] if first.reproduce else []
    return found
