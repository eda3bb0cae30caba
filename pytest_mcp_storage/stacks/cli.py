"""The cli provider: the whole of Supabase in containers, by its own command line (``supabase start``)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mcp_storage.stacks.binaries import supabase_program
from pytest_mcp_storage.stacks.docker import check_docker
from pytest_mcp_storage.stacks.keeper import Note, Upstream
from pytest_mcp_storage.stacks.kept import KeptServer
from pytest_mcp_storage.stacks.keys import ProjectKeys
from pytest_mcp_storage.stacks.postgres import free_port
from pytest_mcp_storage.stacks.schema import migrations
from pytest_mcp_storage.stacks.supabase import MAX_ROWS, Say, StackServer, SupabaseStack
from pytest_mcp_storage.stacks.url import GivenServer
from reference_backends.errors import StorageSetupError

STATUS_LIMIT = 30.0
PULL_TRIES = 2
"""How often one image may fail to come before we give up: the command itself goes on for 93 seconds."""
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; a progress bar is one line."""

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
    """The project of the working directory where it is up, else one of this run's own.

    A project that is up already is somebody's: it is used and left as it is. Ours is made in a temporary folder, so
    that nothing of the user's own is started, and is gone with the run. Its ports are published on all interfaces:
    the command line knows no other way.

    Raises :class:`StorageSetupError` where Docker does not run or an image can't be had, the latter within seconds.
    """
    check_docker()
    program = supabase_program(say)
    if _has_project(Path.cwd()) and (told := _status(program)) is not None:
        say(f"Supabase stack: using the project that is up at {told['API_URL']}")
        return GivenServer(_stack(told))
    say("Supabase stack: supabase start (the first time it pulls its images, which takes minutes)")
    return KeptServer("cli", f"{__name__}:CliServers", {"program": str(program)}, say=say, makes_stores=False)


def _has_project(folder: Path) -> bool:
    return any((one / "supabase" / "config.toml").exists() for one in (folder, *folder.parents))


def _status(program: Path) -> dict[str, str] | None:
    """What ``supabase status`` tells of the working directory's project; ``None`` where it is not up."""
    done = subprocess.run(
        [program, "status", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=STATUS_LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return read_status(done.stdout) if done.returncode == 0 else None


def read_status(text: str) -> dict[str, str]:
    """The variables in what ``supabase status -o json`` prints, which may hold other lines before them.

    Raises :class:`StorageSetupError` where there are none.
    """
    try:
        told = json.loads(text[text.index("{") :])
        return {name: str(told[name]) for name in ("API_URL", "DB_URL", "ANON_KEY", "SERVICE_ROLE_KEY", "JWT_SECRET")}
    except (ValueError, KeyError):
        raise StorageSetupError(
            "supabase status told no keys: is the supabase program on the PATH an old one? npm install supabase@3"
        ) from None


def _stack(told: Mapping[str, str]) -> SupabaseStack:
    return SupabaseStack(
        url=told["API_URL"],
        anon_key=told["ANON_KEY"],
        service_role_key=told["SERVICE_ROLE_KEY"],
        jwt_secret=told["JWT_SECRET"],
        database_url=told["DB_URL"],
        provider="cli",
        owned=False,
        isolated=False,
    )


class CliServers:
    """One project in a temporary folder; run by the keeper. It has one store, which one caller at a time may have."""

    def __init__(self, folder: Path, keys: ProjectKeys, *, program: str) -> None:
        self.folder = folder
        self.program = program
        self.started = False
        self.used = False
        self.told: dict[str, str] = {}

    async def start(self, note: Note) -> None:
        self._lay_out()
        self.started = True
        await self._supabase("start")
        self.told = read_status(await self._supabase("status", "-o", "json"))
        note.part("supabase start")

    async def add(self, name: str, *, migrated: bool, max_rows: int) -> Upstream:
        if self.used or not migrated or max_rows != MAX_ROWS:
            raise StorageSetupError("the cli provider has one store, with the migrations: use --mcp-supabase=native")
        self.used = True
        told = self.told
        keys = {"anon": told["ANON_KEY"], "service_role": told["SERVICE_ROLE_KEY"], "jwt_secret": told["JWT_SECRET"]}
        return Upstream(told["API_URL"], told["DB_URL"], keys)

    async def ready(self, name: str) -> None:
        """``supabase start`` has waited for it."""

    async def remove(self, name: str) -> None:
        import psycopg

        async with await psycopg.AsyncConnection.connect(self.told["DB_URL"]) as connection:
            await connection.execute("truncate public.mcp_sessions")
        self.used = False

    def facts(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    async def stop(self) -> None:
        if self.started:
            await self._supabase("stop", "--no-backup")

    def _lay_out(self) -> None:
        project = self.folder / "supabase"
        (project / "migrations").mkdir(parents=True)
        ports = {"api": free_port(), "db": free_port(), "shadow": free_port()}
        name = self.folder.name.lower().replace("_", "-")
        (project / "config.toml").write_text(CONFIG.format(project=name, max_rows=MAX_ROWS, **ports))
        for migration in migrations():
            (project / "migrations" / migration.name).write_bytes(migration.read_bytes())

    async def _supabase(self, *arguments: str) -> str:
        """Run a command in the project; what it printed to its standard output."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            "--workdir",
            str(self.folder),
            cwd=self.folder,
            env={**os.environ, "DO_NOT_TRACK": "1"},
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
