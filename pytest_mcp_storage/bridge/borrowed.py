"""The caller's objects on either side of the wire.

A backend in this process may keep the very object that a caller passed in, or hand out its own (RT-6). Over a wire that
can't be seen, unless what the caller does to its objects here is done to their counterparts there. So calls are
numbered (``lend``), the bridge keeps the objects of the last few, and is told (``alter``) where one has changed since.
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
"""Calls whose objects are watched: a create, an update, a read and a listing."""
LARGEST = 2**16
"""Bytes, as marshalled: larger objects are not watched, so that looking at them costs little."""
LONGEST = 16
"""Sessions in a listing that is watched."""


@dataclass
class _BorrowedObject:
    number: int
    objects: list[Any]
    """What the caller can change in place."""
    whole: Callable[[], Any]
    """The argument or the answer as it now stands, as it goes over the wire."""
    seen: bytes


class BorrowedObject:
    """What crossed the wire for one handle a short while ago."""

    def __init__(self, wire: Wire, handle: str) -> None:
        self._wire = wire
        self._handle = handle
        self._number = 0
        self._watched: deque[_BorrowedObject] = deque(maxlen=REMEMBERED)

    def number(self) -> int:
        """A number for the next call."""
        self._number += 1
        return self._number

    def watch(self, number: int, objects: list[Any], whole: Callable[[], Any]) -> None:
        """Remember what a call passed or returned."""
        objects = [item for item in objects if isinstance(item, (dict, list))]
        if objects and len(objects) <= 3 * LONGEST and (seen := _state(objects)) is not None:
            self._watched.append(_BorrowedObject(number, objects, whole, seen))

    async def settle(self) -> None:
        """Tell the bridge what the caller has changed since."""
        for lent in list(self._watched):
            now = _state(lent.objects)
            if now is not None and now != lent.seen:
                lent.seen = now
                await self._wire.call("alter", handle=self._handle, lent=lent.number, value=lent.whole())


def mutable(session: SessionData) -> list[Any]:
    """The objects in a session, which is itself frozen."""
    return [session.tokens, session.headers, session.client_information]


def _state(objects: list[Any]) -> bytes | None:
    """What the objects hold, to be compared; ``None`` where that can't be told cheaply."""
    try:
        state = marshal.dumps(objects, 2)  # version 2 is the last that depends on nothing but the value
    except ValueError:
        return None
    return state if len(state) <= LARGEST else None
