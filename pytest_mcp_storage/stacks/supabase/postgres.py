"""A PostgreSQL server for a run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mcp_storage.stacks.polling import poll
from pytest_mcp_storage.stacks.processes import Unprivileged, end, free_port, spawn, unprivileged
from pytest_mcp_storage.stacks.supabase.database_schema import PREPARED
from reference_backends.core.errors import StorageSetupError

if TYPE_CHECKING:
    import psycopg

CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # initdb fails with a LANG that the wheel does not have
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_error_statement": "panic",  # a statement may hold a secret
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # in the data directory, so that nothing is left if the server is killed
    "max_wal_size": "256MB",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
PORTS_TRIED = 3
START_LIMIT = 60.0


class Postgres:
    """A server in ``folder``, on a Unix socket there (without a password) and on a loopback port (with one)."""

    def __init__(self, programs: Path, folder: Path, settings: Mapping[str, str]) -> None:
        self.programs = programs
        self.folder = folder
        self.settings = {**SETTINGS, **settings}
        self.password = secrets.token_urlsafe(24)
        self.port = 0
        self.log = folder.parent / "postgres.log"
        self.launch: Unprivileged = unprivileged(programs, folder.parent)
        self._process: asyncio.subprocess.Process | None = None
        self._control: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    @property
    def data(self) -> Path:
        """Return PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def control(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Return a superuser's connection, which is open from start to stop."""
        assert self._control is not None
        return self._control

    async def start(self) -> None:
        """Start the server on a free port, and wait until it answers.

        Raises :class:`StorageSetupError` with the end of the server's log if it ends instead.
        """
        for _ in range(PORTS_TRIED):
            self.port = free_port()
            if await self._started():
                return
            if "already in use" not in self.log_end():  # otherwise another program took the port: try again
                break
        raise StorageSetupError(f"PostgreSQL did not start ({self.programs}): {self.log_end()}")

    async def _started(self) -> bool:
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = await spawn(
            [*self.launch.prefix, self.programs / "postgres", "-D", self.data, *flags],
            env=CLEAN_ENVIRONMENT,
            log=self.log,
            end_with=signal.SIGQUIT,
            **self.launch.options(),
        )
        process = self._process
        self._control = await poll(self._answer, limit=START_LIMIT, alive=lambda: process.returncode is None)
        return self._control is not None

    async def _answer(self) -> psycopg.AsyncConnection[tuple[object, ...]] | None:
        """Return a superuser's connection if the server accepts one already."""
        import psycopg

        try:
            return await self.connect(PREPARED)
        except psycopg.OperationalError:
            return None

    async def open_port(self) -> None:
        """Allow the superuser to connect to the loopback port too, with this run's password."""
        await self.control.execute(f"alter role postgres password '{self.password}'")

    async def create_database(self, name: str, template: str) -> None:
        """Copy the database ``template`` to a new one."""
        await self.control.execute(f'create database "{name}" template "{template}"')

    async def drop_database(self, name: str) -> None:
        """Remove a database, and end the connections to it."""
        await self.control.execute(f'drop database if exists "{name}" with (force)')

    def url(self, database: str) -> str:
        """Return the superuser's connection string for ``database``, over the loopback port."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def local(self, database: str, role: str) -> str:
        """Return a role's connection string for ``database``, over the Unix socket."""
        return f"host={self.folder} port={self.port} user={role} dbname={database}"

    async def connect(self, database: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Open a superuser's connection to ``database``, over the Unix socket, in autocommit mode."""
        import psycopg

        return await psycopg.AsyncConnection.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        )

    async def stop(self, with_signal: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: immediately, because its data is removed, or cleanly by ``SIGINT``."""
        if self._control is not None:
            await self._control.close()
            self._control = None
        if self._process is not None:
            await end(self._process, with_signal)
            self._process = None

    def log_end(self) -> str:
        """Return the end of the server's log."""
        with contextlib.suppress(OSError):
            if lines := self.log.read_text("utf-8", "replace").splitlines():
                return " · ".join(lines[-5:])
        return f"it wrote no log; the disk of {self.folder} may be full"
