"""``mcp-storage reseal``: every session of a store sealed under the first key."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from reference_backends.core.errors import StorageError

TYPES = ("redis", "file", "sqlite", "supabase")
PATHS = {
    "file": ("MCP_TS_STORAGE_FILE", "./sessions.json"),
    "sqlite": ("MCP_TS_STORAGE_SQLITE_PATH", "./sessions.db"),
}
MOST_SHOWN = 20


@click.command()
@click.option("--store", "kind", type=click.Choice(TYPES), help="The store; unset: what the environment selects.")
@click.option("--dry-run", is_flag=True, help="Read and count; write nothing.")
def reseal(kind: str | None, dry_run: bool) -> None:
    """Seal every session of a store under the first key of STORAGE_ENCRYPTION_KEY.

    Run it after the first key was set (sessions are still in clear) and after a new key was put in front of an old
    one. Then the old key can be taken out. Each session keeps its time to live. The application may go on working,
    if each of its processes knows the new key. The command may be interrupted and run again.

    The store is chosen and reached by the variables of create_storage(): MCP_TS_STORAGE_TYPE, REDIS_URL,
    MCP_TS_STORAGE_FILE, MCP_TS_STORAGE_SQLITE_PATH, SUPABASE_URL.

    Exit code 1 if a session could not be sealed, or the store's files could not be compacted.
    """
    try:
        complete = asyncio.run(_reseal(_environ(kind), dry_run=dry_run))
    except StorageError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(0 if complete else 1)


def _environ(kind: str | None) -> dict[str, str]:
    """Return the variables that choose the store. Refuse one that is in memory, has no key, or is not there."""
    from reference_backends.core.settings import Settings
    from reference_backends.selection.factory import first_choice

    environ = {name: value for name, value in os.environ.items() if value}
    environ["MCP_TS_STORAGE_STRICT"] = "1"
    if kind is not None:
        environ["MCP_TS_STORAGE_TYPE"] = kind
    settings = Settings(environ)
    if settings.store_type == "memory":
        raise click.UsageError("sessions in memory end with their process, and this command has none: choose --store")
    if "STORAGE_ENCRYPTION_KEY" not in environ:
        raise click.UsageError("STORAGE_ENCRYPTION_KEY is not set: put the key to seal with first, older ones after it")
    if (choice := first_choice(settings)) in PATHS:
        name, default = PATHS[choice]
        path = settings.path(name, default)
        if not Path(path).exists():
            raise click.UsageError(f"no file {path}; set {name} to the path of the store")
    return environ


async def _reseal(environ: dict[str, str], *, dry_run: bool) -> bool:
    from rich.console import Console
    from rich.progress import Progress

    from reference_backends.maintenance import resealing
    from reference_backends.selection.factory import create_storage

    store = await create_storage(environ)
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("sessions", total=None)
            result = await resealing.reseal(
                store, dry_run=dry_run, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    finally:
        await store.disconnect()
    click.echo(
        f"{result.sealed} {'to seal' if dry_run else 'sealed'}, {result.current} under the first key already"
        + (f", {result.gone} gone meanwhile" if result.gone else "")
    )
    for (identity, session_id), reason in list(result.refused.items())[:MOST_SHOWN]:
        click.echo(f"not sealed: session {session_id!r} of {identity!r}: {reason}", err=True)
    if len(result.refused) > MOST_SHOWN:
        click.echo(f"not sealed: {len(result.refused) - MOST_SHOWN} more", err=True)
    if result.not_compacted:
        click.echo(f"old values may still be in the store's files: {result.not_compacted}", err=True)
    if result.to_do:
        click.echo(f"left to do: {result.to_do}", err=True)
    return result.complete
