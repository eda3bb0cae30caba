"""``mcp-storage zoo``: run the mutants, print the kill matrix, and fail if it has a gap."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from pytest_mcp_storage.spec.clauses import load_clauses
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants, conforming_stores
from pytest_mcp_storage.zoo.run import KillResult, quietly, run_mutant

BETWEEN_LINES = 20.0
"""Seconds between two lines on how far the run is, if it does not write to a terminal."""


@click.command()
@click.argument("names", nargs=-1, metavar="[MUTANT | CLAUSE | GROUP | conforming]...")
@click.option("--every", is_flag=True, help="Run every clause against each store, not only those that must kill it, "
              "at standard.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Hypothesis's seed.")
@click.option("--signatures", is_flag=True, help="Write the kill signatures that diagnoses compare with, instead.")
@click.option("--jobs", default=2 * (os.cpu_count() or 1), show_default=True, help="Processes at once; many wait.")
def zoo(names: tuple[str, ...], every: bool, seed: int, jobs: int, signatures: bool) -> None:
    """Run the clauses that must kill each mutant of the zoo, and all clauses against each conforming store.

    A mutant that survives the smoke tier is run again at standard. Conforming stores are run at smoke.

    The exit code is 1 if a mutant survives, a conforming store fails, or a clause has no mutant.
    """
    chosen = [each.name for each in (*all_mutants(), *conforming_stores()) if not names or set(names) & _names_of(each)]
    if not chosen:
        raise click.UsageError(f"no mutant, clause or group of the zoo is called {' or '.join(names)}")
    if signatures:
        from pytest_mcp_storage.zoo.signatures import write_signatures

        write_signatures([name for name in chosen if name in {each.name for each in all_mutants()}], jobs=jobs)
        return
    console = Console()
    results = {result.mutant: result for result in _results(chosen, seed=seed, every=every, jobs=jobs, console=console)}
    console.print(_matrix([results[name] for name in chosen]))
    problems = [*_unexpected(results.values()), *(() if names else _without_mutant())]
    for problem in problems:
        console.print(problem, style="red", highlight=False, soft_wrap=True)
    console.print(f"{'; '.join(_totals(list(results.values())))}; seed {seed}", soft_wrap=True)
    raise SystemExit(1 if problems else 0)


def _names_of(mutant: Mutant) -> set[str]:
    """Return the names that select a mutant: its own, its clauses and their groups, or "conforming"."""
    clauses = mutant.clauses or ("conforming",)
    return {mutant.name, *clauses, *(clause.partition("-")[0] for clause in clauses)}


def _results(names: list[str], *, seed: int, every: bool, jobs: int, console: Console) -> Iterator[KillResult]:
    columns = SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    tiers = ("standard",) if every else ("smoke", "standard")
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=quietly) as pool,
    ):
        task = progress.add_task("running", total=len(names))
        # Conforming stores are last in the list and run every clause. They start first, so that no process is idle
        # at the end.
        running = {pool.submit(run_mutant, name, tiers=tiers, seed=seed, every=every): name for name in reversed(names)}
        start = said = time.monotonic()
        for count, done in enumerate(as_completed(running), 1):
            progress.update(task, advance=1, description=f"run {running[done]}")
            if not console.is_terminal and (now := time.monotonic()) - said >= BETWEEN_LINES:
                said = now
                console.print(_so_far(count, len(names), now - start), soft_wrap=True)
            yield done.result()


def _so_far(count: int, total: int, seconds: float) -> str:
    """Return a line on how far the run is, for output that is not a terminal."""
    return f"{count} of {total} stores after {seconds:.0f} s, about {seconds / count * (total - count):.0f} s left"


def _matrix(results: Sequence[KillResult]) -> Table:
    # The user types these names again: they are not cut.
    store = Column("store", no_wrap=True, min_width=max(len(result.mutant) for result in results))
    table = Table(store, "must be killed by", "failed by", "tier", "examples", "seconds", box=None, pad_edge=False)
    for result in results:
        good = result.killed or result.passed
        examples = str(result.examples) if result.by else "·"
        row = (
            result.mutant,
            ", ".join(result.named) or "nothing: it is conforming",
            ", ".join(result.by) or "·",
            result.tier,
        )
        table.add_row(*row, examples, f"{result.seconds:.2f}" if result.by else "·", style="" if good else "bold red")
    return table


def _unexpected(results: Iterable[KillResult]) -> Iterator[str]:
    for result in results:
        if result.named and not result.killed:
            missed = ", ".join(sorted(set(result.named) - set(result.by)))
            yield f"{result.mutant} survived {missed} {' '.join(result.faults)}"
        elif not result.named and result.by:
            yield f"{result.mutant} is conforming, and failed {', '.join(result.by)}: {result.message}"
        elif not result.named and result.faults:
            yield f"{result.mutant} is conforming, and could not be measured: {'; '.join(result.faults)}"


def _totals(results: list[KillResult]) -> Iterator[str]:
    broken = [result for result in results if result.named]
    if broken:
        killed = [result for result in broken if result.killed]
        at_smoke = sum(1 for result in killed if result.tier == "smoke")
        yield f"{len(killed)} of {len(broken)} broken stores killed, {at_smoke} of them at smoke"
    conforming = [result for result in results if not result.named]
    if conforming:
        passed = sum(1 for result in conforming if result.passed)
        yield f"{passed} of {len(conforming)} conforming ones passed"


def _without_mutant() -> Iterator[str]:
    covered = {clause for each in all_mutants() for clause in each.clauses}
    for clause in load_clauses():
        if clause.id not in covered:
            yield f"{clause.id} ({clause.level.value}) has no broken store"
