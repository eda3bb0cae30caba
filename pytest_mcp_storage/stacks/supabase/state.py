"""The stack that ``mcp-storage stack up`` runs. It is announced to other processes in a file, locked while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.core.errors import ConfigurationError, StorageSetupError, StorageUnavailableError

with contextlib.suppress(ImportError):  # Windows does not have it, and starts no server
    import fcntl

END_LIMIT = 30.0
LOCK_WAIT = 0.5
"""Seconds; longer than a process that reads the file holds its lock."""


def state_file() -> Path:
    """Return the file that announces the stack of this user."""
    return cache_folder("stack") / "stack.json"


@contextlib.contextmanager
def exclusive() -> Iterator[Callable[[SupabaseStack], None]]:
    """Be the only process of this user that runs a stack, from before it starts until it has ended.

    The block gets a function that announces the stack, in a file that only the user can read. Raises
    :class:`ConfigurationError` if another process runs one.
    """
    with _opened("a+") as file:
        if not _locked(file):
            raise ConfigurationError("a stack is already up or starting; mcp-storage stack down ends it")
        file.truncate(0)

        def announce(stack: SupabaseStack) -> None:
            json.dump({"pid": os.getpid(), "place": _place(), "stack": asdict(stack)}, file)
            file.flush()

        try:
            yield announce
        finally:
            file.truncate(0)


def announced_stack() -> SupabaseStack | None:
    """Return the stack that a process of this user runs, if there is one.

    Raises :class:`StorageSetupError` if that process is of a version with another form of the file.
    """
    announced = _read()
    try:
        return SupabaseStack(**announced["stack"]) if announced else None  # type: ignore[arg-type]
    except (KeyError, TypeError):
        raise StorageSetupError(
            "a stack of another version of pytest-mcp-storage is up; mcp-storage stack down ends it"
        ) from None


def end_announced() -> bool:
    """End the process that runs it, and wait until it has ended; return whether there was one.

    Raises :class:`StorageUnavailableError` if it does not end within 30 seconds, and :class:`StorageSetupError` if it
    runs on another machine or in another container: its process id means another process here.
    """
    announced = _read()
    if not announced:
        return False
    pid = announced["pid"]
    place = announced.get("place", _place())
    if place != _place():
        raise StorageSetupError(
            f"the stack is process {pid} on {place}, which shares this cache folder: run mcp-storage stack down there"
        )
    assert isinstance(pid, int)
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + END_LIMIT
    while time.monotonic() < limit:
        if not _read():
            return True
        time.sleep(0.02)
    raise StorageUnavailableError(f"the stack did not end within {END_LIMIT:.0f} s: end process {pid} by hand")


def _place() -> str:
    """Return where a process id of this process is valid: the host, and on Linux the namespace of process ids."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} ({os.readlink('/proc/self/ns/pid')})"
    return socket.gethostname()


def _read() -> dict[str, object] | None:
    """Return what the file contains if its lock is held. If it is not, the process that wrote it has ended."""
    with contextlib.suppress(FileNotFoundError), _opened("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read()
            return json.loads(text) if text else None
    return None


def _opened(mode: str) -> IO[str]:
    """Open the file. Raises ``FileNotFoundError``, and :class:`StorageSetupError` if another user owns it."""
    path = state_file()
    try:
        return open(path, mode, opener=_private, encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageSetupError(
            f"{path} can't be opened ({error.strerror}), perhaps because another user made it: "
            "remove it, or set MCP_STORAGE_CACHE to another folder"
        ) from None


def _locked(file: IO[str]) -> bool:
    """Lock the file, unless another process keeps holding it."""
    limit = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                return False
            time.sleep(0.01)
        else:
            return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
