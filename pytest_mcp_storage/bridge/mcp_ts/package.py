"""Upstream's package, which npm installs into a cache folder on first use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.stacks.folders import cache_folder, npm_environment
from pytest_mcp_storage.stacks.processes import dies_with_parent

with contextlib.suppress(ImportError):  # Windows does not have it, and starts no server
    import fcntl

SDK = "@mcp-ts/sdk"
UNFINISHED = ".unfinished-"
VERSIONS = {
    SDK: "1.6.1",
    "ioredis": "5.9.2",
    "better-sqlite3": "12.11.1",
    "@supabase/supabase-js": "2.109.0",
}
"""The versions to which the verdicts in docs/upstream.md apply."""


async def installed(*extra: str) -> Path:
    """Return a folder whose ``node_modules`` contains the SDK and the packages ``extra``.

    If no binary of ``better-sqlite3`` can be downloaded, it is compiled, which takes a minute, once. An installation
    that exists needs neither npm nor a network. Raises :class:`BridgeFault` that says what is missing, with the end
    of npm's output.
    """
    _need("node")
    packages = [f"{name}@{VERSIONS[name]}" for name in (SDK, *extra)]
    parent = cache_folder("mcp-ts")
    folder = parent / " ".join(packages).replace("/", "+").replace(" ", "_")
    if not folder.is_dir():
        _need("npm")
        with (parent / "lock").open("w") as lock:  # another run may be installing the same
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                await _install(packages, folder)
    return folder


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise BridgeFault(f"{SDK} needs {program} on the PATH: install Node.js 18 or newer, which brings npm")


async def _install(packages: Sequence[str], folder: Path) -> None:
    """Install next to ``folder``, then rename, so that no incomplete installation is found. The caller has the lock."""
    for left in folder.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)  # its process has ended
    logging.getLogger(__name__).info("npm installs %s, once", ", ".join(packages))
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    try:
        (unfinished / "package.json").write_text('{"private": true}\n')
        npm = await asyncio.create_subprocess_exec(
            "npm",
            "install",
            "--legacy-peer-deps",  # its optional peers contradict one another
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            *packages,
            cwd=unfinished,
            env=npm_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
        try:
            output, _ = await npm.communicate()
        finally:
            if npm.returncode is None:  # cancelled: it must not continue in a folder that will be removed
                npm.kill()
        if npm.returncode != 0:
            end = "\n".join(output.decode(errors="replace").splitlines()[-12:])
            raise BridgeFault(
                f"npm could not install {', '.join(packages)}; it needs its registry once. Its output ends:\n{end}"
            )
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
