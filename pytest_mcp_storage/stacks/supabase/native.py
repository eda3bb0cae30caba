"""The native provider: PostgreSQL and PostgREST as processes of this run, without Docker."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_mcp_storage.stacks.servers import Note
from pytest_mcp_storage.stacks.supabase.binaries import postgres_programs, postgrest_program
from pytest_mcp_storage.stacks.supabase.database_schema import BARE, PREPARED
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys, key_kind
from pytest_mcp_storage.stacks.supabase.postgres import NOT_DURABLE, Postgres
from pytest_mcp_storage.stacks.supabase.postgrest import Postgrest
from pytest_mcp_storage.stacks.supabase.servers import Upstream
from pytest_mcp_storage.stacks.supabase.stack import Say
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from pytest_mcp_storage.stacks.supabase.template import make_data_directory, template


def start(
    *,
    environ: Mapping[str, str] | None = None,
    say: Say = lambda text: None,
    fsync: bool = False,
    settings: Mapping[str, str] | None = None,
) -> SupervisedServer:
    """Start a native stack.

    ``settings`` are PostgreSQL's. With ``fsync`` committed data survives a crash of the machine, but commits are
    slower. Without it the files are in memory if there is enough space and ``TMPDIR`` is not set. With
    ``MCP_STORAGE_SUPABASE_KEYS=es256`` the stack has the keys of a current project: see :class:`.ProjectKeys`.

    Raises :class:`StorageSetupError` if a program is missing or does not start.
    """
    keys = key_kind(os.environ if environ is None else environ)
    postgres, postgrest = postgres_programs(), postgrest_program(say)
    say(f"Supabase stack: starting PostgreSQL ({postgres}) and PostgREST")
    order = {
        "postgres": str(postgres),
        "postgrest": str(postgrest),
        "settings": {**({} if fsync else NOT_DURABLE), **(settings or {})},
    }
    return SupervisedServer("native", f"{__name__}:NativeServers", order, say=say, in_memory=not fsync, keys=keys)


def _load(*modules: str) -> None:
    """Import modules that take long to load, while another process works."""
    for module in modules:
        import_module(module)


class NativeServers:
    """One PostgreSQL, and a PostgREST for each database; run by the supervisor."""

    def __init__(
        self, folder: Path, keys: ProjectKeys, *, postgres: str, postgrest: str, settings: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.keys = keys
        self.postgrest = Path(postgrest)
        self.postgres = Postgres(Path(postgres), folder / "postgres", settings)
        self.rest_servers: dict[str, Postgrest] = {}
        self.numbers = itertools.count(1)

    async def start(self, note: Note) -> None:
        soon, later = "psycopg", "pytest_mcp_storage.stacks.supabase.gateway"
        if template(self.postgres.programs).is_dir():
            await make_data_directory(self.postgres, meanwhile=lambda: _load(soon))
        else:
            note.say("Supabase stack: making a template of the database, once")
            await make_data_directory(self.postgres, meanwhile=lambda: _load(soon, later))
        note.part("data directory")
        await self.postgres.start()
        await self.postgres.open_port()
        note.part("postgres")

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        await self.postgres.create_database(name, PREPARED if migrated else BARE)
        rest_server = self.rest_servers[name] = Postgrest(
            self.postgrest, self.folder, f"postgrest-{next(self.numbers)}"
        )
        await rest_server.start(
            self.postgres.local(name, "authenticator"), jwt_secret=self.keys.verifier, max_rows=max_rows
        )
        return Upstream(rest_server.address, self.postgres.url(name))

    async def ready(self, name: str) -> None:
        await self.rest_servers[name].ready()

    async def remove(self, name: str) -> None:
        await self.rest_servers.pop(name).stop()
        await self.postgres.drop_database(name)

    def facts(self) -> dict[str, Any]:
        return {
            "postgres": self.postgres.pid,
            "postgrest": {name: rest_server.pid for name, rest_server in self.rest_servers.items()},
            "data_directory": str(self.postgres.data),
            "folder": str(self.folder),
        }

    async def stop(self) -> None:
        for rest_server in self.rest_servers.values():
            await rest_server.stop()
        await self.postgres.stop()
