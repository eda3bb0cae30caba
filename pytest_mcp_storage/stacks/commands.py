"""``mcp-storage stack`` and ``mcp-storage supabase-init``."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click

from pytest_mcp_storage.stacks import state
from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.schema import migrations
from pytest_mcp_storage.stacks.supabase import STARTED, Choice, SupabaseStack, start_stack
from reference_backends.errors import StorageError

VARIABLES = {
    "SUPABASE_URL": "url",
    "SUPABASE_ANON_KEY": "anon_key",
    "SUPABASE_SERVICE_ROLE_KEY": "service_role_key",
    "SUPABASE_JWT_SECRET": "jwt_secret",
    "SUPABASE_DB_URL": "database_url",
}
"""Environment variable -> attribute of :class:`SupabaseStack`."""

NEXT_STEPS = """
Next:
  1. supabase link --project-ref <ref>     the ref is in the project's URL, https://<ref>.supabase.co
  2. supabase db push                      applies the migrations
  3. set SUPABASE_URL=https://<ref>.supabase.co
     and SUPABASE_SERVICE_ROLE_KEY         dashboard, Project Settings, API Keys: service_role, or a secret key.
                                           It passes row security: keep it on the server.
"""


@click.group()
def stack() -> None:
    """A Supabase stack on this machine, without Docker."""


@stack.command()
@click.option("--provider", type=click.Choice(["auto", *STARTED]), default="auto", show_default=True)
@click.option("--port", type=int, default=0, help="The gateway's port; any free one by default.")
@click.option("--detach", is_flag=True, help="Return once the stack is up; `down` ends it.")
def up(provider: Choice, port: int, detach: bool) -> None:
    """Start a stack and hold it open until Ctrl-C."""
    if (running := state.announced_stack()) is not None:
        raise click.ClickException(f"a stack is up already, at {running.url}; mcp-storage stack down ends it")
    if detach:
        _detach(provider, port)
        return
    ended = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: ended.set())
    try:
        elsewhere = {name: value for name, value in os.environ.items() if name != "SUPABASE_URL"}
        with start_stack(provider, environ=elsewhere, say=_say) as server:
            store = server.store("mcp", port=port)
            with state.announced(store):
                click.echo(f'{store.url} is up. In another shell: eval "$(mcp-storage stack env)"')
                while not ended.wait(1.0):
                    server.facts()  # raises once the stack has died
    except StorageError as error:
        raise click.ClickException(str(error)) from None


def _detach(provider: Choice, port: int) -> None:
    """Start ``stack up`` in a session of its own, and wait until it holds a stack or has failed."""
    log = cache_folder("stack") / "stack.log"
    command = [sys.executable, "-P", "-c", "from pytest_mcp_storage.cli import main; main()", "stack", "up"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, f"--provider={provider}", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while (held := state.announced_stack()) is None:
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise click.ClickException(log.read_text().strip().removeprefix("Error: "))
    process.returncode = 0  # it lives on without us
    click.echo(f'{held.url} is up. Here: eval "$(mcp-storage stack env)"; mcp-storage stack down ends it')


@stack.command()
def down() -> None:
    """End the stack that `up` holds open."""
    try:
        click.echo("the stack is down" if state.end_announced() else "no stack is up")
    except StorageError as error:
        raise click.ClickException(str(error)) from None


@stack.command()
def status() -> None:
    """Tell whether a stack is up; the exit code is 1 where none is."""
    running = _running()
    click.echo(f"{running.url} is up ({running.provider})")


@stack.command()
def env() -> None:
    """Print the stack's variables for a shell to evaluate."""
    running = _running()
    for variable, attribute in VARIABLES.items():
        if (value := getattr(running, attribute)) is not None:
            click.echo(f"export {variable}={shlex.quote(value)}")


@click.command("supabase-init")
def supabase_init() -> None:
    """Copy the migrations of the sessions table into ./supabase/migrations."""
    folder = Path("supabase", "migrations")
    folder.mkdir(parents=True, exist_ok=True)
    for migration in migrations():
        target = folder / migration.name
        if not target.exists():
            shutil.copyfile(migration, target)
            click.echo(f"wrote {target}")
        elif target.read_bytes() == migration.read_bytes():
            click.echo(f"left {target}: it is there already")
        else:
            click.echo(f"left {target}: it is there already, and differs from the one that this version ships")
    click.echo(NEXT_STEPS)


def _running() -> SupabaseStack:
    return state.announced_stack() or _nothing_up()


def _nothing_up() -> NoReturn:
    raise click.ClickException("no stack is up; mcp-storage stack up --detach starts one")


def _say(text: str) -> None:
    click.echo(text, err=True)
