"""The event loop of the suite, on which the order of ready tasks can be drawn instead of left to chance.

asyncio runs ready tasks in the order in which they became ready, so on a fast store the order is always the same. Under
a schedule, other tasks may overtake a ready task, as on a busy machine. A list of numbers describes the order:
Hypothesis shrinks it, and a seed reproduces it. Plain callbacks keep their places, because transports rely on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, NamedTuple, TypeVarTuple, Unpack

Arguments = TypeVarTuple("Arguments")


class _Ready(NamedTuple):
    """A step of a task that is ready to run."""

    handle: asyncio.Handle
    run: Callable[[], Any]


class ScheduledLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, until :meth:`schedule` is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: Iterator[int] | None = None
        self._steps: list[_Ready] = []

    @contextmanager
    def schedule(self, choices: Sequence[int]) -> Iterator[None]:
        """Let each number decide which of the ready tasks runs next; 0, and no more numbers: the first."""
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

        def run() -> Any:
            return context.run(callback, *args)

        self._steps.append(_Ready(handle, run))
        super().call_soon(self._run_one)  # one turn for each step, in any order
        return handle

    def _run_one(self) -> None:
        """Run one of the steps that are ready."""
        self._steps = [step for step in self._steps if not step.handle.cancelled()]
        if not self._steps:
            return
        choice = 0
        if len(self._steps) > 1 and self._choices is not None:
            choice = next(self._choices, 0) % len(self._steps)
        self._steps.pop(choice).run()
