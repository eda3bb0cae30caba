"""What this process holds: threads, tasks, descriptors, child processes, temporary files. Linux shows all of it."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DESCRIPTORS = Path("/proc/self/fd")
KINDS = ("threads", "tasks", "sockets", "other descriptors", "child processes", "temporary files")


@dataclass(frozen=True)
class Resources:
    """How many there are of each kind, and the names of some, for a message."""

    threads: frozenset[str]
    tasks: frozenset[str]
    sockets: frozenset[str]
    files: frozenset[str]
    children: frozenset[str]
    temporary: frozenset[str]

    def beyond(self, before: Resources) -> dict[str, list[str]]:
        """Return what exists now and did not before, by kind."""
        kinds = zip(KINDS, vars(self).values(), vars(before).values(), strict=True)
        return {kind: sorted(now - then) for kind, now, then in kinds if now - then}


def taken() -> Resources:
    """Return what the process holds now. Call it on the loop whose tasks are counted."""
    gc.collect()
    descriptors = _descriptors()
    return Resources(
        threads=frozenset(f"{each.name} ({each.ident})" for each in threading.enumerate() if _counts(each)),
        tasks=frozenset(f"{_name_of(task)} ({id(task):x})" for task in asyncio.all_tasks() if not task.done()),
        sockets=frozenset(each for each in descriptors if each.startswith("socket:")),
        files=frozenset(each for each in descriptors if not each.startswith("socket:")),
        children=frozenset(_children()),
        temporary=frozenset(_names(Path(tempfile.gettempdir()))),
    )


def connections(sockets: Iterable[str]) -> int:
    """Return how many of these sockets lead to the most frequent peer: both ends may be in this process."""
    inodes = {each.removeprefix("socket:[").removesuffix("]") for each in sockets}
    peers: Counter[str] = Counter()
    known = 0
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/self/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[9] in inodes:
                    known += 1
                    peers[fields[2]] += 1
    return max([*peers.values(), len(inodes) - known])


def sockets() -> frozenset[str]:
    """Return the sockets that the process holds now."""
    return frozenset(each for each in _descriptors() if each.startswith("socket:"))


def _descriptors() -> list[str]:
    """Return what each descriptor leads to, with its number unless it is a socket, whose name is unique."""
    found = []
    for name in _names(DESCRIPTORS):
        with suppress(OSError):
            target = os.readlink(DESCRIPTORS / name)
            if target != f"/proc/{os.getpid()}/fd":
                found.append(target if target.startswith("socket:") else f"{target} ({name})")
    return found


def _children() -> list[str]:
    found: list[str] = []
    for thread in _names(Path("/proc/self/task")):
        with suppress(OSError):
            found += Path(f"/proc/self/task/{thread}/children").read_text(encoding="ascii").split()
    return found


def _counts(thread: threading.Thread) -> bool:
    """Say whether the thread does not belong to the event loop's own pool, which keeps its threads."""
    return thread.is_alive() and not thread.name.startswith("asyncio_")


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _name_of(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
