"""A call that is cancelled at one of its suspension points: the moments at which it waits for something.

A coroutine can be cancelled only while it is suspended, so its suspension points are all the moments there are. They
are counted by an awaitable between the call and the task that awaits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

Returned = TypeVar("Returned")

Interrupt = Callable[[], object]
"""Asks for the cancellation of the awaiting task: ``task.cancel``, or what leads to it."""


class Interrupted(Generic[Returned]):
    """Awaits ``call`` and calls ``interrupt`` at its suspension point number ``at``; 0: never.

    ``answered``: not when the call begins to wait there, but when what it waits for has come and it is about to go on.
    """

    def __init__(
        self, call: Awaitable[Returned], at: int = 0, interrupt: Interrupt = lambda: None, *, answered: bool = False
    ) -> None:
        self.call = call
        self.at = at
        self.interrupt = interrupt
        self.answered = answered
        self.suspensions = 0
        """How often the call has waited so far."""
        self._waited: asyncio.Future[Any] | None = None

    @property
    def reached(self) -> bool:
        """Whether the call has come to the suspension point."""
        return bool(self.at) and self.suspensions >= self.at

    @property
    def waited_again(self) -> bool:
        """Whether it waited for something more after that."""
        return bool(self.at) and self.suspensions > self.at

    def __await__(self) -> Generator[Any, Any, Returned]:
        steps = self.call.__await__()
        thrown: BaseException | None = None
        try:
            while True:
                try:
                    waited = next(steps) if thrown is None else steps.throw(thrown)
                except StopIteration as end:
                    result: Returned = end.value
                    return result
                self.suspensions += 1
                if self.suspensions == self.at:
                    self._interrupt(waited)
                try:
                    yield waited
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    thrown = error
                else:
                    thrown = None
        finally:
            if self._waited is not None:
                self._waited.remove_done_callback(self._has_come)

    def _interrupt(self, waited: object) -> None:
        if self.answered and isinstance(waited, asyncio.Future):
            self._waited = waited
            waited.add_done_callback(self._has_come)  # before the task's callback, which wakes it up
        else:
            self.interrupt()

    def _has_come(self, future: asyncio.Future[Any]) -> None:
        self.interrupt()
