"""Hold locks across ``os.fork()``: a child has the memory of its parent but none of its threads."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object with fork hooks. Both methods are called on the thread that forks."""

    def before_fork(self) -> None:
        """Take the object's lock, and release what two processes cannot share."""

    def after_fork(self, *, in_child: bool) -> None:
        """Release the object's lock. Called in the parent and in the child."""


_watching: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_waiting: list[ForkAware] = []
_one_fork_at_a_time = threading.Lock()


def watch_forks(thing: ForkAware) -> None:
    """Call the hooks of ``thing`` at each ``os.fork()`` until it is garbage-collected. ``subprocess`` runs no hooks."""
    _watching.add(thing)


def _before() -> None:
    _one_fork_at_a_time.acquire()
    for thing in list(_watching):
        thing.before_fork()
        _waiting.append(thing)


def _after(*, in_child: bool) -> None:
    while _waiting:
        _waiting.pop().after_fork(in_child=in_child)
    _one_fork_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
