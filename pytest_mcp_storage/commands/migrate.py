"""``mcp-storage migrate``: copy sessions from upstream's Redis to any store here."""

from __future__ import annotations

import asyncio
import os

import click

from reference_backends.core.errors import StorageError

TYPES = ("redis", "file", "sqlite", "supabase")
MOST_SHOWN = 20


@click.command()
@click.option("--from", "source", metavar="URL", envvar="REDIS_URL", required=True, show_envvar=True,
              help="The server that holds upstream's sessions.")  # fmt: skip
@click.option("--to", "target", type=click.Choice(TYPES), help="The target; unset: what the environment selects.")
@click.option("--move", is_flag=True, help="Remove each session from upstream's keys after its copy was read back.")
@click.option("--dry-run", is_flag=True, help="Read, compare and report; write nothing.")
def migrate(source: str, target: str | None, move: bool, dry_run: bool) -> None:
    """Copy the sessions that @mcp-ts/sdk keeps in the Redis server at URL to a store of this package.

    The target is chosen and reached by the variables of create_storage(): MCP_TS_STORAGE_TYPE, REDIS_URL,
    MCP_TS_STORAGE_FILE, MCP_TS_STORAGE_SQLITE_PATH, SUPABASE_URL, and STORAGE_ENCRYPTION_KEY, which encrypts the
    copies.

    Stop what writes to the source first. You can run the command again at any time. The exit code is 1 if a session
    could not be copied: it stays in the source.
    """
    try:
        complete = asyncio.run(_migrate(source, target, move=move, dry_run=dry_run))
    except StorageError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(0 if complete else 1)


def _target(url: str, target: str | None) -> dict[str, str]:
    """Return the variables that choose the target; for Redis without a URL, with the source's server."""
    from reference_backends.core.settings import Settings

    environ = {name: value for name, value in os.environ.items() if value}
    environ["MCP_TS_STORAGE_STRICT"] = "1"
    if target is not None:
        environ["MCP_TS_STORAGE_TYPE"] = target
    kind = Settings(environ).store_type
    if kind == "memory":
        raise click.UsageError("sessions in memory end with this command: choose another target with --to")
    if kind == "redis":
        environ.setdefault("REDIS_URL", url)
    return environ


async def _migrate(url: str, target: str | None, *, move: bool, dry_run: bool) -> bool:
    from reference_backends.maintenance import migration
    from reference_backends.redis.url import redis_client
    from reference_backends.selection.factory import create_storage

    environ = _target(url, target)
    source = redis_client(url, name="--from")
    store = await create_storage(environ)
    try:
        async with source:
            result = await migration.migrate(source, store, move=move, dry_run=dry_run)
    finally:
        await store.disconnect()
    click.echo(f"{result.created} {'to create' if dry_run else 'created'}, {result.already_there} there already")
    if move:
        click.echo(f"{result.removed} removed from the source")
    for key, reason in list(result.refused.items())[:MOST_SHOWN]:
        click.echo(f"left behind: {key}: {reason}", err=True)
    if len(result.refused) > MOST_SHOWN:
        click.echo(f"left behind: {len(result.refused) - MOST_SHOWN} more", err=True)
    return result.complete
