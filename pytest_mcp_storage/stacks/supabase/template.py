"""The data directory that each native run starts from: made once for a PostgreSQL and the SQL, then copied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.processes import run
from pytest_mcp_storage.stacks.supabase.database_schema import PREPARED, install, migration_sql, platform_sql
from pytest_mcp_storage.stacks.supabase.postgres import CLEAN_ENVIRONMENT, NOT_DURABLE, Postgres
from reference_backends.core.errors import StorageSetupError

INITDB = ("-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1")
ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
KEPT_TEMPLATES = 4
TEMPLATE_NAME = re.compile("[0-9a-f]{24}")


def template(programs: Path) -> Path:
    """Return the cached data directory for these programs and this SQL, whether it exists or not."""
    program = (programs / "postgres").stat()
    parts = [str(programs), str(program.st_size), str(program.st_mtime_ns), *INITDB, ACCESS, platform_sql()]
    name = hashlib.sha256("\0".join(parts + migration_sql()).encode()).hexdigest()[:24]
    return cache_folder("postgres") / name


async def make_data_directory(postgres: Postgres, meanwhile: Callable[[], None]) -> None:
    """Make the data directory of ``postgres``: a copy of the template, or a new one that becomes the template.

    ``meanwhile`` is called once, while another process works.

    Raises :class:`StorageSetupError` if it can't be made.
    """
    postgres.folder.mkdir(mode=0o700)
    postgres.launch.own(postgres.folder)
    kept = template(postgres.programs)
    if kept.is_dir():
        await _copy(kept, postgres.data, meanwhile)
        os.utime(kept)
        postgres.data.chmod(0o700)
        postgres.launch.own(postgres.folder)
    else:
        await _initdb(postgres, meanwhile)
        await _install(Postgres(postgres.programs, postgres.folder, NOT_DURABLE))  # without the settings of the run
        await _cache(postgres.data, kept)


async def _initdb(postgres: Postgres, meanwhile: Callable[[], None]) -> None:
    command: list[str | Path] = [*postgres.launch.prefix, postgres.programs / "initdb", "-D", postgres.data, *INITDB]
    code = await run(command, meanwhile, env=CLEAN_ENVIRONMENT, log=postgres.log, **postgres.launch.options())
    if code != 0:
        raise StorageSetupError(f"initdb failed ({postgres.programs}): {postgres.log_end()}")
    (postgres.data / "pg_hba.conf").write_text(ACCESS, encoding="utf-8")


async def _install(postgres: Postgres) -> None:
    """Install the platform and the migrations, and end the server cleanly: its files then need no recovery."""
    await postgres.start()
    await postgres.control.close()  # its database is made again
    await install(postgres.connect)
    async with await postgres.connect(PREPARED) as connection:
        await connection.execute("alter database template0 is_template false")
        await connection.execute("drop database template0")  # nobody needs it, and it is a third of all files
    await postgres.stop(signal.SIGINT)


async def _cache(data: Path, kept: Path) -> None:
    """Put a copy into the cache, atomically, and remove old templates."""
    with (
        contextlib.suppress(OSError, StorageSetupError),  # another run was faster, or the disk is full
        tempfile.TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as fresh,
    ):
        await _copy(data, Path(fresh, "data"), lambda: None)
        os.rename(f"{fresh}/data", kept)
    remove_old_templates(kept.parent)


def remove_old_templates(cache: Path) -> None:
    """Remove all templates but those used last. Other folders stay: ``MCP_STORAGE_CACHE`` may be a shared folder."""
    templates = [folder for folder in cache.iterdir() if TEMPLATE_NAME.fullmatch(folder.name)]
    ours = [folder for folder in templates if (folder / "PG_VERSION").is_file() and not folder.is_symlink()]
    by_use = sorted(ours, key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in by_use[KEPT_TEMPLATES:]:
        shutil.rmtree(folder, ignore_errors=True)


async def _copy(source: Path, target: Path, meanwhile: Callable[[], None]) -> None:
    log = target.parent / "cp.log"
    if await run(["cp", "-R", source, target], meanwhile, env={"PATH": os.defpath}, log=log) != 0:
        words = log.read_text("utf-8", "replace").strip() or "its disk may be full"
        raise StorageSetupError(f"PostgreSQL's files can't be copied to {target}: {words}")
    log.unlink()
