"""The cli provider: a complete Supabase in containers, started by its own command line (``supabase start``)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_mcp_storage.stacks.environment_variables import supabase_cli_environment
from pytest_mcp_storage.stacks.processes import free_port
from pytest_mcp_storage.stacks.servers import Note
from pytest_mcp_storage.stacks.signing import private_jwk
from pytest_mcp_storage.stacks.supabase.binaries import supabase_program
from pytest_mcp_storage.stacks.supabase.database_schema import migrations
from pytest_mcp_storage.stacks.supabase.docker import check_docker
from pytest_mcp_storage.stacks.supabase.given_project import UrlServer
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from pytest_mcp_storage.stacks.supabase.servers import Upstream
from pytest_mcp_storage.stacks.supabase.stack import MAX_ROWS, Say, StackServer, SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends.core.errors import StorageSetupError

STATUS_LIMIT = 30.0
PULL_TRIES = 2
"""Give up after this many failed pulls of one image: the command itself tries for 93 seconds."""
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; a progress bar is one line."""

KEYS = {
    "ANON_KEY": "anon_key",
    "SERVICE_ROLE_KEY": "service_role_key",
    "JWT_SECRET": "jwt_secret",
    "PUBLISHABLE_KEY": "publishable_key",
    "SECRET_KEY": "secret_key",
}
"""Variable of ``supabase status`` -> attribute of :class:`SupabaseStack`."""

CONFIG = """\
project_id = "{project}"
[api]
port = {api}
max_rows = {max_rows}
[db]
port = {db}
shadow_port = {shadow}
[auth]
enabled = true
[realtime]
enabled = false
[studio]
enabled = false
[local_smtp]
enabled = false
[storage]
enabled = false
[edge_runtime]
enabled = false
[analytics]
enabled = false
"""


def start(*, environ: Mapping[str, str] | None = None, say: Say = lambda text: None) -> StackServer:
    """Use the project of the working directory if it is up, else start a project for this run.

    A project that is up already is used and left as it is. The project of a run is made in a temporary folder, so that
    nothing of the user is started, and it is removed after the run. Its ports are published on all interfaces: the
    command line has no option for that.

    Raises :class:`StorageSetupError` if Docker does not run or an image can't be pulled; the latter within seconds.
    """
    check_docker()
    program = supabase_program(say)
    configuration = _configuration(Path.cwd())
    if configuration is not None and (reported := _status(program)) is not None:
        say(f"Supabase stack: using the project that is up at {reported['API_URL']}")
        return UrlServer(_stack(reported, signing_key(configuration)))
    say("Supabase stack: supabase start (the first time it pulls its images, which takes minutes)")
    return SupervisedServer("cli", f"{__name__}:CliServers", {"program": str(program)}, say=say, makes_stores=False)


def _configuration(folder: Path) -> Path | None:
    """Return the configuration of the project that ``folder`` is in, as the command line finds it."""
    names = ("supabase/config.toml", "supabase/config.json")
    found = (one / name for one in (folder, *folder.parents) for name in names)
    return next((path for path in found if path.exists()), None)


def signing_key(configuration: Path) -> str | None:
    """Return the private key that a project signs with, as JSON; ``None`` if it signs with its secret.

    Raises :class:`ConfigurationError` if the file that ``auth.signing_keys_path`` names holds none.
    """
    text = configuration.read_text("utf-8")
    try:
        settings = tomllib.loads(text) if configuration.suffix == ".toml" else json.loads(text)
        path = settings["auth"]["signing_keys_path"]
    except (ValueError, KeyError, TypeError):
        return None
    return json.dumps(private_jwk(str(configuration.parent / path))) if path else None


def _status(program: Path) -> dict[str, str] | None:
    """Return what ``supabase status`` reports of the working directory's project; ``None`` if it is not up."""
    done = subprocess.run(
        [program, "status", "-o", "json"],
        env=supabase_cli_environment(os.environ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=STATUS_LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return read_status(done.stdout) if done.returncode == 0 else None


def read_status(text: str) -> dict[str, str]:
    """Return the variables that ``supabase status -o json`` prints; it may print other lines first.

    Raises :class:`StorageSetupError` if the URL or the key of the server is missing.
    """
    try:
        printed = json.loads(text[text.index("{") :])
        known = {name: str(value) for name, value in printed.items() if value}
    except (ValueError, AttributeError):
        known = {}
    if not {"API_URL", "DB_URL"} <= set(known) or not {"SECRET_KEY", "SERVICE_ROLE_KEY"} & set(known):
        raise StorageSetupError(
            "supabase status printed no keys. If the supabase program on the PATH is old: npm install supabase@3"
        )
    return known


def _keys(reported: Mapping[str, str]) -> dict[str, str | None]:
    return {attribute: reported.get(name) for name, attribute in KEYS.items()}


def _stack(reported: Mapping[str, str], signing_key: str | None) -> SupabaseStack:
    return SupabaseStack(
        url=reported["API_URL"],
        **_keys(reported),
        database_url=reported["DB_URL"],
        signing_key=signing_key,
        provider="cli",
        owned=False,
        isolated=False,
    )


class CliServers:
    """One project in a temporary folder; run by the supervisor. It has one store, for one caller at a time."""

    def __init__(self, folder: Path, keys: ProjectKeys, *, program: str) -> None:
        self.folder = folder
        self.program = program
        self.project = folder.name.lower().replace("_", "-")
        self.ports = {"api": 0, "db": 0, "shadow": 0}
        self.started = False
        self.used = False
        self.reported: dict[str, str] = {}

    async def start(self, note: Note) -> None:
        self._lay_out()
        self.started = True
        await self._supabase("start")
        reported = read_status(await self._supabase("status", "-o", "json"))
        if (
            urlsplit(reported["API_URL"]).port != self.ports["api"]
            or urlsplit(reported["DB_URL"]).port != self.ports["db"]
        ):
            raise StorageSetupError(
                f"supabase reports another project than {self.project}, which this run started. If the program on the "
                "PATH is a script that sets SUPABASE_PROJECT_ID, put the program itself there"
            )
        self.reported = reported
        note.part("supabase start")

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        if self.used or not migrated or max_rows != MAX_ROWS:
            raise StorageSetupError("the cli provider has one store, with the migrations: use --mcp-supabase=native")
        self.used = True
        return Upstream(self.reported["API_URL"], self.reported["DB_URL"], _keys(self.reported))

    async def ready(self, name: str) -> None:
        """``supabase start`` has waited for it."""

    async def remove(self, name: str) -> None:
        import psycopg

        async with await psycopg.AsyncConnection.connect(self.reported["DB_URL"]) as connection:
            await connection.execute("truncate public.mcp_sessions")
        self.used = False

    def facts(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    async def stop(self) -> None:
        if self.started:
            await self._supabase("stop", "--no-backup", "--project-id", self.project)

    def _lay_out(self) -> None:
        project = self.folder / "supabase"
        (project / "migrations").mkdir(parents=True)
        self.ports = {part: free_port() for part in self.ports}
        config = CONFIG.format(project=self.project, max_rows=MAX_ROWS, **self.ports)
        (project / "config.toml").write_text(config, encoding="utf-8")
        for migration in migrations():
            (project / "migrations" / migration.name).write_bytes(migration.read_bytes())

    async def _supabase(self, *arguments: str) -> str:
        """Run a command in the project; return what it printed to its standard output."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            "--workdir",
            str(self.folder),
            cwd=self.folder,
            env=supabase_cli_environment(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        reading = asyncio.create_task(process.stdout.read())
        words: list[str] = []
        failures: Counter[str] = Counter()
        async for raw in process.stderr:
            line = raw.decode("utf-8", "replace").strip()
            words.append(line[-300:])
            if line.startswith("Retrying after"):
                image = line.rpartition(" ")[2]
                failures[image] += 1
                if failures[image] == PULL_TRIES:
                    process.terminate()
                    await process.wait()
                    reading.cancel()
                    raise StorageSetupError(
                        f"supabase {arguments[0]} can't pull {image}: connect this machine to its registry, "
                        "set SUPABASE_INTERNAL_IMAGE_REGISTRY to a mirror, or use --mcp-supabase=native"
                    )
        output = (await reading).decode("utf-8", "replace")
        if await process.wait() != 0:
            raise StorageSetupError(f"supabase {arguments[0]} failed: {' · '.join(words[-5:]) or output.strip()}")
        return output
