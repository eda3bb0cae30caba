"""``mcp-storage clauses``: print the contract."""

from __future__ import annotations

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clauses import LATEST, Clause, ContractError, Level, load_clauses, select

WIDEST = 100
"""Columns; longer lines are hard to read."""


@click.command()
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--revision", metavar="REV", default=LATEST, show_default=True, help="Of the contract.")
def clauses(names: tuple[str, ...], revision: str) -> None:
    """Print the contract: all of it, or the clauses (EX-2) and groups (EX) that are named.

    A clause that is named by its id is printed with its reason, what it needs, and the tests that measure it.
    """
    try:
        wanted = [name.upper() for name in names]
        chosen = select(load_clauses(revision), wanted)
    except ContractError as error:
        raise click.UsageError(str(error)) from None
    console = Console(highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDEST)
    if wanted and all(clause.id in wanted for clause in chosen):
        for clause in chosen:
            _print_whole(console, clause)
        return
    console.print(Text(f"The contract of MCP session stores, revision {revision}", style="bold"))
    for group in dict.fromkeys(clause.group for clause in chosen):
        _print_group(console, [clause for clause in chosen if clause.group == group])


def _print_group(console: Console, group: list[Clause]) -> None:
    console.print()
    console.print(Text(f"{group[0].group} · {group[0].group_title}", style="bold cyan"))
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=5, style="bold", no_wrap=True)
    table.add_column(min_width=6, no_wrap=True)
    table.add_column()
    for clause in group:
        statement = Text(clause.statement)
        if clause.needs:
            statement.append(f"  needs {_needs(clause)}", style="dim")
        table.add_row(clause.id, _level(clause), statement)
    console.print(Padding(table, (0, 0, 0, 2)))


def _print_whole(console: Console, clause: Clause) -> None:
    title = Text(clause.id, style="bold cyan")
    title.append(f" · {clause.group_title} · ")
    title.append_text(_level(clause))
    console.print(title)
    console.print(Padding(Text(clause.statement, style="bold"), (0, 0, 1, 2)))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("why", Text(clause.why))
    table.add_row("needs", Text(_needs(clause, explained=True) if clause.needs else "no capability"))
    for capability, what in clause.optional_parts:
        table.add_row("left out", Text(f"without {capability.name} ({capability.value}): {what}"))
    if clause.store_wide:
        table.add_row("store-wide", Text("held back on a store that may hold others' data; --mcp-allow-destructive"))
    table.add_row("measured by", Text("\n".join(clause.tests)))
    table.add_row("alone", Text(f"pytest --mcp-backend=NAME --mcp-clause={clause.id}"))
    console.print(Padding(table, (0, 0, 1, 2)))


def _level(clause: Clause) -> Text:
    return Text(clause.level.value, style="" if clause.level is Level.MUST else "yellow")


def _needs(clause: Clause, *, explained: bool = False) -> str:
    capabilities = [each for each in Capability if each in clause.needs]
    if explained:
        return "\n".join(f"{each.name}: {each.value}" for each in capabilities)
    return ", ".join(each.name for each in capabilities)
