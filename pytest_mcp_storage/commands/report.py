"""``mcp-storage report``: merge the reports of several runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from pytest_mcp_storage.report import terminal
from pytest_mcp_storage.report.merge import merge
from pytest_mcp_storage.report.model import Report, ReportError
from pytest_mcp_storage.report.write import RENDERERS, write


@click.command()
@click.argument("reports", metavar="REPORT.json...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "outputs", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
              help="Repeatable; .json, .html, .md or .svg by its ending. Without it a summary is printed.")  # fmt: skip
@click.option("--backend", "only", multiple=True, metavar="NAME", help="Repeatable; only these backends.")
def report(reports: tuple[Path, ...], outputs: tuple[Path, ...], only: tuple[str, ...]) -> None:
    """Merge the JSON reports of several runs.

    If a backend occurs in several, the one named last is taken. Runs that were judged by different revisions of the
    contract can't be merged.
    """
    for path in outputs:
        _check(path)
    try:
        merged, remarks = merge([(str(path), Report.load(path)) for path in reports])
    except ReportError as error:
        raise click.ClickException(str(error)) from None
    for remark in remarks:
        click.echo(remark, err=True)
    merged = _narrowed(merged, only)
    for path in outputs:
        try:
            write(merged, path)
        except OSError as error:
            raise click.ClickException(f"{path} can't be written: {error.strerror}") from None
        click.echo(f"wrote {path}", err=True)
    if not outputs:
        terminal.show(merged, _Styled())


def _check(path: Path) -> None:
    """Raise before the work what would fail after it."""
    if path.suffix not in RENDERERS:
        raise click.UsageError(f"{path}: the ending must be one of {', '.join(RENDERERS)}")
    if path.is_dir() or not path.parent.is_dir():
        raise click.UsageError(f"{path} can't be written: its folder must exist")


def _narrowed(merged: Report, only: tuple[str, ...]) -> Report:
    known = [backend.name for backend in merged.backends]
    for name in only:
        if name not in known:
            raise click.UsageError(f"these reports have no backend {name!r} (they have: {', '.join(known)})")
    return replace(merged, backends=[each for each in merged.backends if not only or each.name in only])


class _Styled:
    """The terminal, with the markup of pytest's terminal writer."""

    def write(self, content: str, **markup: bool) -> None:
        colour = next((name for name in ("red", "green", "yellow") if markup.get(name)), None)
        bold, dim = (markup.get(name) or None for name in ("bold", "light"))
        plain = False if os.environ.get("NO_COLOR") else None  # click asks only whether it is a terminal
        click.secho(content, nl=False, color=plain, fg=colour, bold=bold, dim=dim)
