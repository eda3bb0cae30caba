"""``mcp-storage bench``: how fast stores are, next to the bundled ones, and how they grow."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.harnesses.supabase import CHOICE_VARIABLE, SupabaseHarness
from pytest_mcp_storage.session.backends import BUNDLED, MakeHarness, resolve
from pytest_mcp_storage.session.loading import BackendNameError
from pytest_mcp_storage.speed.console_table import show
from pytest_mcp_storage.speed.page import as_html
from pytest_mcp_storage.speed.result import BenchResult
from pytest_mcp_storage.speed.run import STEPS_OF_A_STORE
from pytest_mcp_storage.speed.run import bench as measure
from pytest_mcp_storage.speed.store import Store

GIVEN = {"redis": "REDIS_URL", "supabase": "SUPABASE_URL"}
"""The variables that lead these stores to a server of yours: it is measured only if you name the store."""


class DirectRedis(RedisHarness):
    """Redis without the proxy of the suite, which takes longer than Redis."""

    proxied = False


class NativeSupabase(SupabaseHarness):
    """Supabase from what is installed: a comparison pulls no container images."""

    provider = "native"


FilePath = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command()
@click.argument("backends", metavar="BACKEND...", nargs=-1, required=True)
@click.option("--json", "json_file", metavar="FILE", type=FilePath, help="Write the figures as JSON.")
@click.option("--html", "html_file", metavar="FILE", type=FilePath, help="Write a page with tables and a plot.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(min=1),
              help="About how long the run takes; the start of servers comes on top.")  # fmt: skip
@click.option("--against", multiple=True, metavar="NAME", default=tuple(BUNDLED), show_default=True,
              help="Repeatable; the stores to compare with.")  # fmt: skip
@click.option("--alone", is_flag=True, help="Compare with no other store.")
@click.option("--allow-destructive", is_flag=True, help="On a store that may hold others' data, run cleanup and create "
              "100,000 sessions too.")  # fmt: skip
def bench(
    backends: tuple[str, ...],
    json_file: Path | None,
    html_file: Path | None,
    seconds: float,
    against: tuple[str, ...],
    alone: bool,
    allow_destructive: bool,
) -> None:
    """Time stores, and how each grows with the sessions of others.

    BACKEND is a name as after --mcp-backend of pytest: memory, file, sqlite, redis, supabase, a registered name,
    module:attribute, stdio:COMMAND or mcp-ts:STORE.

    The exit code is 1 if a named store can't be measured.
    """
    for path in filter(None, (json_file, html_file)):
        if not path.parent.is_dir():
            raise click.UsageError(f"{path} can't be written: its folder must exist")
    named = dict.fromkeys(backends)
    others = [name for name in dict.fromkeys(() if alone else against) if name not in named]
    left_out = [name for name in others if os.environ.get(GIVEN.get(name, ""))]
    makers = {name: _maker(name, compared=name not in named) for name in (*named, *others) if name not in left_out}
    stores = [
        Store(name, make, compared=name not in named, destructive=allow_destructive and name in named)
        for name, make in makers.items()
    ]
    console = Console()
    logging.getLogger().addHandler(logging.NullHandler())
    result = _measured(stores, seconds, console)
    show(result, console)
    for name in left_out:
        console.print(f"{name} is not compared with: {GIVEN[name]} is set; name {name} to measure that server")
    _write(result, json_file, html_file)
    raise SystemExit(1 if any(store.refused and not store.compared for store in result.stores) else 0)


def _maker(name: str, *, compared: bool) -> MakeHarness:
    """Return what makes the harness. Raise ``click.UsageError`` for an unknown name."""
    try:
        make = resolve(name, Path.cwd())
    except BackendNameError as error:
        raise click.UsageError(str(error)) from None
    if name == "redis":
        return DirectRedis
    if name == "supabase" and compared and CHOICE_VARIABLE not in os.environ:
        return NativeSupabase
    return make


def _measured(stores: list[Store], seconds: float, console: Console) -> BenchResult:
    columns = BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(stores) * STEPS_OF_A_STORE)
        return measure(stores, seconds, lambda text: progress.update(task, advance=1, description=text))


def _write(result: BenchResult, json_file: Path | None, html_file: Path | None) -> None:
    texts: dict[Path, str] = {}
    if json_file is not None:
        texts[json_file] = json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n"
    if html_file is not None:
        texts[html_file] = as_html(result)
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise click.ClickException(f"{path} can't be written: {error.strerror}") from None
        click.echo(f"wrote {path}", err=True)
