"""``mcp-storage stack``."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import click

from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.supabase import state
from pytest_mcp_storage.stacks.supabase.providers import STARTED, Choice, start_stack
from pytest_mcp_storage.stacks.supabase.stack import VARIABLES, SupabaseStack
from reference_backends.core.errors import StorageError


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Show an error of this package as its message, without a traceback."""
    try:
        yield
    except StorageError as error:
        raise click.ClickException(str(error)) from None


@click.group()
def stack() -> None:
    """Run a Supabase stack on this machine, without Docker."""


@stack.command()
@click.option("--provider", type=click.Choice(["auto", *STARTED]), default="auto", show_default=True,
              help="What starts it; auto: the first that can.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The gateway's port; any free one by default.")
@click.option("--detach", is_flag=True, help="Return once the stack is up; `down` ends it.")
@in_words()
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
    elsewhere = {name: value for name, value in os.environ.items() if name != "SUPABASE_URL"}
    with state.exclusive() as announce, start_stack(provider, environ=elsewhere, say=_say) as server:
        store = server.store("mcp", port=port)
        announce(store)
        click.echo(f'{store.url} is up. In another shell: eval "$(mcp-storage stack env)"')
        while not ended.wait(1.0):
            server.facts()  # raises once the stack has died


def _detach(provider: Choice, port: int) -> None:
    """Start ``stack up`` in a separate session, and repeat its output until it holds a stack or has failed."""
    log = cache_folder("stack") / "stack.log"
    command = [sys.executable, "-P", "-c", "from pytest_mcp_storage.cli import main; main()", "stack", "up"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--provider={provider}", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )
    with log.open(encoding="utf-8", errors="replace") as said:
        while (held := state.announced_stack()) is None:
            code = process.poll()
            for line in said:
                _say(line.rstrip())
            if code is not None:
                raise click.exceptions.Exit(code)
            time.sleep(0.02)
    process.returncode = 0  # it continues without this process
    click.echo(f'{held.url} is up. Here: eval "$(mcp-storage stack env)"; mcp-storage stack down ends it')


@stack.command()
@in_words()
def down() -> None:
    """End the stack that `up` holds open."""
    click.echo("the stack is down" if state.end_announced() else "no stack is up")


@stack.command()
@in_words()
def status() -> None:
    """Say whether a stack is up; the exit code is 1 if none is."""
    running = _running()
    known = [variable for variable, attribute in VARIABLES.items() if getattr(running, attribute) is not None]
    click.echo(f"{running.url} is up ({running.provider}); mcp-storage stack env prints {', '.join(known)}")


@stack.command()
@in_words()
def env() -> None:
    """Print the stack's variables for a shell to evaluate; those that it does not have are set to nothing."""
    running = _running()
    for variable, attribute in VARIABLES.items():
        click.echo(f"export {variable}={shlex.quote(getattr(running, attribute) or '')}")


def _running() -> SupabaseStack:
    return state.announced_stack() or _nothing_up()


def _nothing_up() -> NoReturn:
    raise click.ClickException("no stack is up; mcp-storage stack up --detach starts one")


def _say(text: str) -> None:
    click.echo(text, err=True)
