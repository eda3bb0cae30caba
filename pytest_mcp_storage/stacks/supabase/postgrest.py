"""A PostgREST server for one database, on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

from pytest_mcp_storage.stacks.polling import poll
from pytest_mcp_storage.stacks.processes import end, spawn
from reference_backends.core.errors import StorageSetupError

START_LIMIT = 30.0


def settings(database: str, *, jwt_secret: str, max_rows: int) -> dict[str, str]:
    """Return the variables of a server for ``database``, a libpq connection string."""
    return {
        "PGRST_DB_URI": database,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_MAX_ROWS": str(max_rows),
        "PGRST_DB_CONFIG": "false",
        "PGRST_JWT_SECRET": jwt_secret,
    }


class Postgrest:
    """A process that serves a database over HTTP on a Unix socket. ``address`` is the socket's path."""

    def __init__(self, program: Path, folder: Path, name: str) -> None:
        self.program = program
        self.address = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self, database: str, *, jwt_secret: str, max_rows: int) -> None:
        """Start it on ``database``, a libpq connection string; :meth:`ready` waits for it."""
        environment = settings(database, jwt_secret=jwt_secret, max_rows=max_rows)
        environment |= {"PGRST_SERVER_UNIX_SOCKET": str(self.address), "PGRST_LOG_LEVEL": "crit"}
        self._process = await spawn([self.program], env=environment, log=self.log)

    async def ready(self) -> None:
        """Wait until it has read the database's schema. Raises :class:`StorageSetupError` if it ends instead."""
        process = self._process
        assert process is not None
        if await poll(self._answer, limit=START_LIMIT, alive=lambda: process.returncode is None):
            return
        words = self.log.read_text("utf-8", "replace").splitlines()[-5:]
        raise StorageSetupError(f"PostgREST did not start ({self.program}): {' · '.join(words)}")

    async def _answer(self) -> bool | None:
        """Return True if its root page has status 200: it has then read the schema. Else return ``None``."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.address))
            with contextlib.closing(writer):
                writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).split()[1] == b"200" or None
        except (OSError, IndexError):
            return None

    async def stop(self) -> None:
        """End it and wait for it."""
        if self._process is not None:
            await end(self._process, signal.SIGTERM)
            self._process = None
