"""Count the connections that calls open: sockets, and SQLite databases.

Python's audit events name each of them, whichever library opens it. A library that connects in C (libpq below
psycopg) raises no such event.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from pytest_mcp_storage.engine.tracing import stop_pausing

EVENTS = frozenset({"socket.connect", "sqlite3.connect"})

_counters: list[list[str]] = []


@contextmanager
def connects() -> Iterator[list[str]]:
    """Collect the event of each connection that this process opens inside the block."""
    _listen()
    seen: list[str] = []
    _counters.append(seen)
    try:
        yield seen
    finally:
        _counters.remove(seen)


@cache
def _listen() -> None:
    """Add the hook once: Python offers no way to remove it."""
    sys.addaudithook(_note)
    stop_pausing()


def _note(event: str, _: tuple[object, ...]) -> None:
    if event in EVENTS:
        for seen in tuple(_counters):
            seen.append(event)
