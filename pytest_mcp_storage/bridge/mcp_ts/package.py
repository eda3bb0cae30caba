"""Upstream's package, installed by npm into a cache folder the first time that it is asked for."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.processes import dies_with_parent

SDK = "@mcp-ts/sdk"
UNFINISHED = ".unfinished-"
VERSIONS = {
    SDK: "1.6.1",
    "ioredis": "5.9.2",
    "better-sqlite3": "12.11.1",
    "@supabase/supabase-js": "2.109.0",
}
"""What the verdicts in docs/upstream.md were passed on."""


async def installed(*beside: str) -> Path:
    """A folder whose ``node_modules`` holds the SDK and the packages ``beside`` it.

    ``better-sqlite3`` is compiled where no binary of it can be downloaded: that takes a minute, once. What is there
    already needs neither npm nor a network. Raises :class:`BridgeFault` that says what is missing, with the end of
    npm's output.
    """
    _need("node")
    packages = [f"{name}@{VERSIONS[name]}" for name in (SDK, *beside)]
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
        raise BridgeFault(f"{SDK} needs {program} on the PATH: install Node.js 20 or newer, which brings npm")


async def _install(packages: Sequence[str], folder: Path) -> None:
    """Install beside ``folder``, then rename: half an installation is never found. The caller holds the lock."""
    for left in folder.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)  # whoever was at it is dead
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
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
        try:
            output, _ = await npm.communicate()
        finally:
            if npm.returncode is None:  # cancelled: it must not go on in a folder that is taken away
                npm.kill()
        if npm.returncode != 0:
            end = "\n".join(output.decode(errors="replace").splitlines()[-12:])
            raise BridgeFault(
                f"npm could not install {', '.join(packages)}, for which it must reach its registry, once:\n{end}"
            )
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
