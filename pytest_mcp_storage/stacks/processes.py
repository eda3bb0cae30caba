"""Child processes that end with their parent, and that do not run as root if their program refuses to."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_backends.core.errors import StorageSetupError

with contextlib.suppress(ImportError):  # Windows does not have it, and starts no server
    import pwd

PR_SET_PDEATHSIG = 1


def dies_with_parent(with_signal: int) -> Callable[[], None] | None:
    """Return a ``preexec_fn`` that lets the kernel end the child after its parent (Linux only; else ``None``).

    The kernel watches the thread that starts the child. That thread must live as long as the process, so call this
    from the main thread.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, with_signal)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return end_with_parent


async def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: Path,
    end_with: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> asyncio.subprocess.Process:
    """Start ``command`` with only ``env``; append both outputs to ``log``. It ends with this process."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *map(str, command),
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=dies_with_parent(end_with),
            **options,
        )


async def run(command: Sequence[str | Path], meanwhile: Callable[[], None], **options: Any) -> int:
    """Run ``command`` and call ``meanwhile`` while it runs; return the exit code. See :func:`spawn`."""
    process = await spawn(command, **options)
    meanwhile()
    return await process.wait()


async def end(process: asyncio.subprocess.Process, with_signal: signal.Signals, *, grace: float = 5.0) -> None:
    """End ``process`` and wait for it; kill it after ``grace`` seconds."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(with_signal)
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(frozen=True)
class Unprivileged:
    """How to run a program that refuses root: as the current user, as ``nobody``, or in a user namespace."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def options(self) -> dict[str, Any]:
        """Return keyword arguments for a subprocess."""
        if self.user is None:
            return {"cwd": "/"}
        return {"cwd": "/", "user": self.user, "group": self.group, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Make that user the owner of ``folder`` and everything in it."""
        if self.user is None:
            return
        assert self.group is not None
        os.chown(folder, self.user, self.group)
        for parent, folders, files in os.walk(folder):
            for name in folders + files:
                os.chown(os.path.join(parent, name), self.user, self.group, follow_symlinks=False)


def unprivileged(*needs: Path) -> Unprivileged:
    """Return how to run a program that refuses root and must enter the folders ``needs``.

    ``nobody`` has the passwd entry that initdb needs. Only root can reach a private folder such as ``/root``. Then a
    user namespace shows another user id to the program and keeps root's rights on files.

    Raises :class:`StorageSetupError` if neither works.
    """
    if os.geteuid() != 0:
        return Unprivileged()
    hidden = next((need for need in needs if not _open_to_all(need)), None)
    if hidden is None:
        nobody = pwd.getpwnam("nobody")
        return Unprivileged(user=nobody.pw_uid, group=nobody.pw_gid)
    if (unshare := shutil.which("unshare")) is not None:
        return Unprivileged(prefix=(unshare, "--user", "--map-user=65534", "--map-group=65534", "--"))
    raise StorageSetupError(
        f"PostgreSQL refuses to run as root, and the user nobody can't enter {hidden}: run as another user, "
        "or install PostgreSQL for the whole machine"
    )


def _open_to_all(path: Path) -> bool:
    """Return whether any user may enter ``path`` and all its parents."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path.resolve(), *path.resolve().parents))


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
