"""The event loop of the suite, on which the order of ready tasks can be drawn instead of left to chance.

asyncio runs ready tasks in the order in which they became ready, so on a fast store the order is always the same. Under
a schedule, a ready task may be held back for some rounds of the loop, as on a busy machine. A list of numbers describes
the order: Hypothesis shrinks it, and a seed reproduces it.

No task is moved forward: it would run before callbacks that became ready earlier, which asyncio never does. Such a
callback takes a closed socket from the selector, for example; too late, it takes the next socket of that number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import TypeVarTuple, Unpack

from pytest_mcp_storage.engine.tracing import TracingLoop

Arguments = TypeVarTuple("Arguments")


class ScheduledLoop(TracingLoop):
    """asyncio's own loop, until :meth:`schedule` is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: Iterator[int] | None = None
        self._ready_steps = 0
        """How many steps of tasks are ready to run."""

    @contextmanager
    def schedule(self, choices: Sequence[int]) -> Iterator[None]:
        """Let each number say for how many rounds the next ready task is held back; no more numbers: for none."""
        self._choices = iter(choices)
        try:
            yield
        finally:
            self._choices = None

    def call_soon(
        self, callback: Callable[[Unpack[Arguments]], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it as soon as possible; the step of a task may run after steps of other tasks."""
        if self._choices is None or not isinstance(getattr(callback, "__self__", None), asyncio.Task):
            return super().call_soon(callback, *args, context=context)
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._ready_steps += 1
        super().call_soon(self._arrive, handle, lambda: context.run(callback, *args))
        return handle

    def _arrive(self, handle: asyncio.Handle, run: Callable[[], object]) -> None:
        """Run a step, or hold it back if other steps are ready."""
        choices = self._choices if self._ready_steps > 1 else None
        self._hold(handle, run, next(choices, 0) if choices is not None else 0)

    def _hold(self, handle: asyncio.Handle, run: Callable[[], object], rounds: int) -> None:
        if rounds:
            super().call_soon(self._hold, handle, run, rounds - 1)
            return
        self._ready_steps -= 1
        if not handle.cancelled():
            run()
