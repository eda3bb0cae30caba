"""The objects that a caller shares with a backend behind a bridge.

A backend in this process may keep the object that a caller passed, or return an object that it keeps (RT-6). A bridge
copies every object, so a change of the caller must be repeated on the copy. If a bridge declares ``sharesObjects``,
calls are numbered (``lend``), the bridge keeps the objects of the last few, and a call ``alter`` follows each change.
"""

from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_mcp_storage.bridge.wire import Wire
from reference_backends import SessionData

REMEMBERED = 4
"""The number of calls whose objects are watched: a create, an update, a read and a listing."""
LARGEST = 2**16
"""Bytes, marshalled: larger objects are not watched, so that comparing them is fast."""
LONGEST = 16
"""The most sessions in a listing that is watched."""


@dataclass
class _BorrowedObject:
    number: int
    objects: list[Any]
    """The objects that the caller can change in place."""
    whole: Callable[[], Any]
    """Returns the argument or the answer in its present state, in its form in a message."""
    seen: bytes


class BorrowedObjects:
    """The objects of the last calls of one handle; none if it is not ``enabled``."""

    def __init__(self, wire: Wire, handle: str, *, enabled: bool) -> None:
        self._enabled = enabled
        self._wire = wire
        self._handle = handle
        self._number = 0
        self._watched: deque[_BorrowedObject] = deque(maxlen=REMEMBERED)

    def number(self) -> int | None:
        """Return a number for the next call; ``None`` if the bridge keeps no objects."""
        if not self._enabled:
            return None
        self._number += 1
        return self._number

    def watch(self, number: int | None, objects: list[Any], whole: Callable[[], Any]) -> None:
        """Remember the objects that a call passed or returned."""
        if number is None:
            return
        objects = [item for item in objects if isinstance(item, (dict, list))]
        if objects and len(objects) <= 3 * LONGEST and (seen := _state(objects)) is not None:
            self._watched.append(_BorrowedObject(number, objects, whole, seen))

    async def settle(self) -> None:
        """Send the bridge what the caller has changed since."""
        for borrowed in list(self._watched):
            now = _state(borrowed.objects)
            if now is not None and now != borrowed.seen:
                borrowed.seen = now
                await self._wire.call("alter", handle=self._handle, lent=borrowed.number, value=borrowed.whole())


def mutable(session: SessionData) -> list[Any]:
    """Return the objects in a session that can be changed in place; the session itself is frozen."""
    return [session.tokens, session.headers, session.client_information]


def _state(objects: list[Any]) -> bytes | None:
    """Return the objects' content for a comparison; ``None`` if that would take long."""
    try:
        state = marshal.dumps(objects, 2)  # version 2 is the last that depends only on the value
    except ValueError:
        return None
    return state if len(state) <= LARGEST else None
