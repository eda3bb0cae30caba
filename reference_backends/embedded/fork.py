"""What a fork must not tear apart: a child has all of its parent's memory, and none of its parent's threads."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """What wants to know of a fork. Both methods are called on the thread that forks."""

    def before_fork(self) -> None:
        """Wait until no thread is inside, keep others out, and let go of what two processes can't share."""

    def after_fork(self, *, in_child: bool) -> None:
        """In the parent and in the child: let threads in again."""


_watching: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_waiting: list[ForkAware] = []
_one_fork_at_a_time = threading.Lock()


def watch_forks(thing: ForkAware) -> None:
    """Tell ``thing`` of every fork for as long as it lives. ``subprocess`` forks no such copy, and asks nobody."""
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
