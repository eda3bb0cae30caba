"""Cancel a call at one of its suspension points: the moments at which it waits for something.

A coroutine can be cancelled only while it is suspended, so its suspension points are all possible moments. An awaitable
between the call and the awaiting task counts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

Returned = TypeVar("Returned")

Interrupt = Callable[[], object]
"""Requests the cancellation of the awaiting task: ``task.cancel``, or something that leads to it."""


class Interrupted(Generic[Returned]):
    """Awaits ``call`` and calls ``interrupt`` at its suspension point number ``at``; 0: never.

    ``answered``: interrupt when the awaited result has arrived and the call is about to continue, not when it begins to
    wait.
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
        """Say whether the call has reached the suspension point."""
        return bool(self.at) and self.suspensions >= self.at

    @property
    def waited_again(self) -> bool:
        """Say whether the call has waited again after that point."""
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
            del thrown  # its traceback holds this frame: a cycle, which would keep the store's frames alive
            if self._waited is not None:
                self._waited.remove_done_callback(self._has_come)

    def _interrupt(self, waited: object) -> None:
        if self.answered and isinstance(waited, asyncio.Future):
            self._waited = waited
            waited.add_done_callback(self._has_come)  # before the task's own callback, which wakes the task up
        else:
            self.interrupt()

    def _has_come(self, future: asyncio.Future[Any]) -> None:
        self.interrupt()
