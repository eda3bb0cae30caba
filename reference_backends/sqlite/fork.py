"""Close SQLite's connections before ``os.fork()``: a child must not use the locks of its parent."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Connected(Protocol):
    """The owner of a connection. Both methods are called on the thread that forks."""

    def before_fork(self) -> None:
        """Close the connection, and let no thread open it."""

    def after_fork(self) -> None:
        """Let threads open the connection again. Called in the parent and in the child."""


_owners: weakref.WeakSet[Connected] = weakref.WeakSet()
_waiting: list[Connected] = []
_one_fork_at_a_time = threading.Lock()


def close_before_forks(owner: Connected) -> None:
    """Call ``owner`` at each ``os.fork()`` until it is garbage-collected. ``subprocess`` does not call it."""
    _owners.add(owner)


def _before() -> None:
    _one_fork_at_a_time.acquire()
    for owner in list(_owners):
        owner.before_fork()
        _waiting.append(owner)


def _after() -> None:
    while _waiting:
        _waiting.pop().after_fork()
    _one_fork_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
