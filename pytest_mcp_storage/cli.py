"""The console script ``mcp-storage``: one line a command, each loaded when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "bridge-kit": "pytest_mcp_storage.commands.bridge_kit:bridge_kit",
    "clauses": "pytest_mcp_storage.commands.clauses:clauses",
    "contract": "pytest_mcp_storage.commands.contract:contract",
    "key": "pytest_mcp_storage.commands.key:key",
    "doctor": "pytest_mcp_storage.commands.doctor:doctor",
    "migrate": "pytest_mcp_storage.commands.migrate:migrate",
    "reseal": "pytest_mcp_storage.commands.reseal:reseal",
    "report": "pytest_mcp_storage.commands.report:report",
    "stack": "pytest_mcp_storage.commands.stack:stack",
    "zoo": "pytest_mcp_storage.commands.zoo:zoo",
    "supabase-init": "pytest_mcp_storage.commands.supabase_init:supabase_init",
}
"""Command name -> ``module:attribute`` of a :class:`click.Command`."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is asked for."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; what it prints fits the encoding of its output."""
        from pytest_mcp_storage.commands.output import accept_every_character

        accept_every_character()
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a click command")
        return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-mcp-storage")
def main() -> None:
    """Prove what an MCP session store does with its users' tokens."""
