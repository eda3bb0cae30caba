"""A PostgreSQL server of a run's own: made once, kept as a template, copied for each run."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.processes import Unprivileged, end, spawn, unprivileged
from pytest_mcp_storage.stacks.schema import install, migration_sql, platform_sql
from reference_backends.errors import StorageSetupError

if TYPE_CHECKING:
    import psycopg

CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # an inherited LANG that the wheel lacks breaks initdb
INITDB = ("-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1")
ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_error_statement": "panic",  # a statement may hold a secret
    "jit": "off",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
KEPT_TEMPLATES = 4
START_LIMIT = 60.0


class Postgres:
    """A server in ``folder``, on a Unix socket there (trusted) and on a loopback port (by password)."""

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
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    @cached_property
    def template(self) -> Path:
        """Where the data directory of these programs and this SQL is kept."""
        return cache_folder("postgres") / _fingerprint(self.programs)

    def has_template(self) -> bool:
        """Whether an earlier run has made it."""
        return self.template.is_dir()

    async def prepare(self) -> None:
        """Lay out the data directory, a copy of the template, which is made now if need be."""
        self.folder.mkdir(mode=0o700)
        template = self.template
        if not self.has_template():
            await self._build(template)
        os.utime(template)
        shutil.copytree(template, self.data, symlinks=True, copy_function=shutil.copyfile)
        self.data.chmod(0o700)
        self.launch.own(self.folder)

    async def _build(self, template: Path) -> None:
        """Make a cluster with the platform and the migrations in it, and put it on the shelf."""
        self.launch.own(self.folder)
        await self._initdb()
        await self.start(template_building=True)
        await self.control()
        await install(self._connect)
        await self.stop(signal.SIGINT)  # a clean end: the files are whole without recovery
        fresh = Path(tempfile.mkdtemp(dir=template.parent))
        shutil.copytree(self.data, fresh / "data", symlinks=True, copy_function=shutil.copyfile)
        shutil.rmtree(self.data)
        with contextlib.suppress(OSError):  # another run was faster
            (fresh / "data").rename(template)
        shutil.rmtree(fresh)
        _thin_out(template.parent)

    async def _initdb(self) -> None:
        command: list[str | Path] = [*self.launch.prefix, self.programs / "initdb", "-D", self.data, *INITDB]
        process = await spawn(command, env=CLEAN_ENVIRONMENT, log=self.log, **self.launch.options())
        if await process.wait() != 0:
            raise StorageSetupError(f"initdb failed ({self.programs}): {self.last_words()}")
        (self.data / "pg_hba.conf").write_text(ACCESS)

    async def start(self, *, template_building: bool = False) -> None:
        """Start the server; it need not answer yet (:meth:`control` waits for it)."""
        settings = {**SETTINGS, **FORGETFUL} if template_building else self.settings
        self.port = free_port()
        settings |= {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = await spawn(
            [*self.launch.prefix, self.programs / "postgres", "-D", self.data, *flags],
            env=CLEAN_ENVIRONMENT,
            log=self.log,
            end_with=signal.SIGQUIT,
            **self.launch.options(),
        )

    async def control(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """A superuser's connection, kept open; waits until the server answers.

        Raises :class:`StorageSetupError` with the server's last words where it ends instead.
        """
        if self._control is not None:
            return self._control
        import psycopg

        assert self._process is not None
        limit = asyncio.get_running_loop().time() + START_LIMIT
        while self._process.returncode is None and asyncio.get_running_loop().time() < limit:
            try:
                self._control = await self._connect("postgres")
            except psycopg.OperationalError:
                await asyncio.sleep(0.005)
            else:
                return self._control
        raise StorageSetupError(f"PostgreSQL did not start ({self.programs}): {self.last_words()}")

    async def open_port(self) -> None:
        """Let the superuser in by the loopback port too, with this run's password."""
        control = await self.control()
        await control.execute(f"alter role postgres password '{self.password}'")

    async def create_database(self, name: str, template: str) -> None:
        """Copy the database ``template`` to a new one."""
        control = await self.control()
        await control.execute(f'create database "{name}" template "{template}"')

    async def drop_database(self, name: str) -> None:
        """Remove a database, and whoever is connected to it."""
        control = await self.control()
        await control.execute(f'drop database if exists "{name}" with (force)')

    def url(self, database: str) -> str:
        """The superuser's connection string for ``database``, over the loopback port."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def local(self, database: str, role: str) -> str:
        """A role's connection string for ``database``, over the Unix socket."""
        return f"host={self.folder} port={self.port} user={role} dbname={database}"

    async def _connect(self, database: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        import psycopg

        return await psycopg.AsyncConnection.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        )

    async def stop(self, with_signal: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once (the data is thrown away), or by ``SIGINT`` cleanly."""
        if self._control is not None:
            await self._control.close()
            self._control = None
        if self._process is not None:
            await end(self._process, with_signal)
            self._process = None

    def last_words(self) -> str:
        """The end of the server's log."""
        with contextlib.suppress(OSError):
            return " · ".join(self.log.read_text("utf-8", "replace").splitlines()[-5:])
        return "it wrote no log"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fingerprint(programs: Path) -> str:
    """A name for the template that these programs and this SQL make."""
    program = (programs / "postgres").stat()
    parts = [str(programs), str(program.st_size), str(program.st_mtime_ns), *INITDB, ACCESS, platform_sql()]
    return hashlib.sha256("\0".join(parts + migration_sql()).encode()).hexdigest()[:24]


def _thin_out(shelf: Path) -> None:
    """Keep the templates that were used last."""
    templates = sorted(shelf.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in templates[KEPT_TEMPLATES:]:
        shutil.rmtree(folder, ignore_errors=True)
