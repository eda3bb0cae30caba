"""A separate process that works on a store: ``python worker.py KIND PATH JOB [ARGUMENT…]``.

It prints a line for each acknowledged write, so that the test that kills it knows what must be stored.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from typing import Any

from reference_backends import (
    FileStorageBackend,
    SessionData,
    SessionExistsError,
    SqliteStorageBackend,
    StorageUnavailableError,
)

Backend = FileStorageBackend | SqliteStorageBackend


def session(session_id: str, **fields: Any) -> SessionData:
    return SessionData(
        session_id=session_id,
        identity="alice",
        server_url="u",
        transport_type="sse",
        callback_url="c",
        created_at=0,
        **fields,
    )


def say(*words: object) -> None:
    print(*words, flush=True)


async def create_until_killed(backend: Backend, name: str) -> None:
    """Run four concurrent writers. Each prints what it wrote."""

    async def writer(number: int) -> None:
        for count in range(10**9):
            session_id = f"{name}-{number}-{count}"
            await backend.create_session(session(session_id, tokens={"a": session_id * 50}))
            say(session_id)

    await asyncio.gather(*(writer(number) for number in range(4)))


async def race(backend: Backend, name: str, count: str) -> None:
    """Create sessions that other processes create, too, and set a field of one that they update."""
    say("ready")
    sys.stdin.readline()

    async def create(session_id: str) -> None:
        try:
            await backend.create_session(session(session_id, server_name=name))
        except SessionExistsError:
            return
        say(session_id)

    await asyncio.gather(*(create(f"raced-{number}") for number in range(int(count))))
    for number in range(int(count)):
        await backend.update_session("alice", "shared", {name: f"{name}-{number}"})  # type: ignore[misc]


async def fill_up(backend: Backend) -> None:
    """Write until the files may not grow any more, as on a full disk. Then raise the limit and write once more."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    say("full", *[await attempt(backend, f"s{number}") for number in range(40)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say("room", await attempt(backend, "after"))


async def write_once(backend: Backend, session_id: str) -> None:
    say(await attempt(backend, session_id))


async def attempt(backend: Backend, session_id: str) -> str:
    try:
        await backend.create_session(session(session_id, tokens={"a": "x" * 20_000}))
    except StorageUnavailableError:
        return f"-{session_id}"
    return session_id


async def main(kind: str, path: str, job: str, *arguments: str) -> None:
    backend = {"file": FileStorageBackend, "sqlite": SqliteStorageBackend}[kind](path)
    await backend.init()
    jobs = {"create": create_until_killed, "race": race, "fill": fill_up, "write": write_once}
    await jobs[job](backend, *arguments)  # type: ignore[operator]
    await backend.disconnect()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(*sys.argv[1:]))
