"""``mcp-storage zoo``: the kill matrix, printed, and refused where it has a hole."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from pytest_mcp_storage.clauses import load_clauses
from pytest_mcp_storage.zoo.hunt import Catch, hunt
from pytest_mcp_storage.zoo.specimens import Specimen, defects, sound


@click.command()
@click.argument("names", nargs=-1, metavar="[SPECIMEN | CLAUSE | GROUP | sound]...")
@click.option("--every", is_flag=True, help="Put each store before every clause, not only those that must catch it, "
              "at standard.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Hypothesis's seed.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Processes at once.")
def zoo(names: tuple[str, ...], every: bool, seed: int, jobs: int) -> None:
    """Hunt every broken store of the zoo with the clauses that must catch it, and spare every sound one.

    Broken ones meet the smoke tier, and the standard tier where that let them escape; sound ones meet every clause at
    smoke.

    Exits with 1 where a defect escapes, a sound store is failed, or a clause has no broken store.
    """
    chosen = [each.name for each in (*defects(), *sound()) if not names or set(names) & _callings(each)]
    if not chosen:
        raise click.UsageError(f"no specimen, clause or group of the zoo is called {' or '.join(names)}")
    console = Console()
    catches = {catch.specimen: catch for catch in _hunted(chosen, seed=seed, every=every, jobs=jobs, console=console)}
    console.print(_matrix([catches[name] for name in chosen]))
    problems = [*_holes(catches.values()), *(() if names else _unguarded())]
    for problem in problems:
        console.print(problem, style="red", highlight=False, soft_wrap=True)
    console.print(f"{'; '.join(_told(list(catches.values())))}; seed {seed}", soft_wrap=True)
    raise SystemExit(1 if problems else 0)


def _callings(specimen: Specimen) -> set[str]:
    """What a specimen may be asked for by: its name, its clauses and their groups, or that it is sound."""
    clauses = specimen.clauses or ("sound",)
    return {specimen.name, *clauses, *(clause.partition("-")[0] for clause in clauses)}


def _hunted(names: list[str], *, seed: int, every: bool, jobs: int, console: Console) -> Iterator[Catch]:
    columns = SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    tiers = ("standard",) if every else ("smoke", "standard")
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quietly) as pool,
    ):
        task = progress.add_task("hunting", total=len(names))
        # The sound ones, which stand last, meet every clause: they go first, so that no process is idle at the end.
        under_way = {pool.submit(hunt, name, tiers=tiers, seed=seed, every=every): name for name in reversed(names)}
        for done in as_completed(under_way):
            progress.update(task, advance=1, description=f"hunted {under_way[done]}")
            yield done.result()


def _quietly() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # broken stores complain, and are right
    warnings.simplefilter("ignore")


def _matrix(catches: Sequence[Catch]) -> Table:
    store = Column("store", no_wrap=True, min_width=max(len(catch.specimen) for catch in catches))  # to be typed again
    table = Table(store, "must be caught by", "failed by", "tier", "examples", "seconds", box=None, pad_edge=False)
    for catch in catches:
        good = catch.caught or catch.spared
        examples = str(catch.examples) if catch.by else "·"
        row = (catch.specimen, ", ".join(catch.named) or "nothing: it is sound", ", ".join(catch.by) or "·", catch.tier)
        table.add_row(*row, examples, f"{catch.seconds:.2f}" if catch.by else "·", style="" if good else "bold red")
    return table


def _holes(catches: Iterable[Catch]) -> Iterator[str]:
    for catch in catches:
        if catch.named and not catch.caught:
            missed = ", ".join(sorted(set(catch.named) - set(catch.by)))
            yield f"{catch.specimen} escaped {missed} {' '.join(catch.faults)}"
        elif not catch.named and catch.by:
            yield f"{catch.specimen} is sound, and was failed by {', '.join(catch.by)}: {catch.message}"
        elif not catch.named and catch.faults:
            yield f"{catch.specimen} is sound, and could not be measured: {'; '.join(catch.faults)}"


def _told(catches: list[Catch]) -> Iterator[str]:
    broken = [catch for catch in catches if catch.named]
    if broken:
        caught = [catch for catch in broken if catch.caught]
        at_smoke = sum(1 for catch in caught if catch.tier == "smoke")
        yield f"{len(caught)} of {len(broken)} broken stores caught, {at_smoke} of them at smoke"
    sound = [catch for catch in catches if not catch.named]
    if sound:
        spared = sum(1 for catch in sound if catch.spared)
        yield f"{spared} of {len(sound)} sound ones spared"


def _unguarded() -> Iterator[str]:
    guarded = {clause for each in defects() for clause in each.clauses}
    for clause in load_clauses():
        if clause.id not in guarded:
            yield f"{clause.id} ({clause.level.value}) has no broken store"
