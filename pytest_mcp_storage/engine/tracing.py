"""Trace a store's own code, and nothing around it.

On Python 3.11 a tracer slows every instruction of its thread; with the suite's own code traced too, a run takes twice
as long. There the tracer is on only during the steps of a followed call, of the tasks that these steps start, and of
callbacks in the store's files. From Python 3.12 on, turning it on and off costs more than leaving it on.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

Returned = TypeVar("Returned")
Arguments = TypeVarTuple("Arguments")

Tracer = Callable[..., Any]
"""What ``sys.settrace`` takes."""

pausing = sys.version_info < (3, 12)
"""Whether the tracer is off outside the store's code."""


def stop_pausing() -> None:
    """Leave the tracer on from now on: this process has an audit hook.

    Each change of the tracer calls the hook, and no other thread can change its tracer until the hook returns.
    """
    global pausing
    pausing = False


class TracingLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, until ``tracer`` is set. ``traced_files``: the paths of the store's source files."""

    def __init__(self) -> None:
        super().__init__()
        self.tracer: Tracer | None = None
        self.traced_files: frozenset[str] = frozenset()
        self.set_task_factory(_make_task)

    def call_soon(
        self, callback: Callable[[Unpack[Arguments]], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._traced(callback), *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Arguments]], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon_threadsafe(self._traced(callback), *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._traced(callback), *args, context=context)

    def _traced(self, callback: Callable[[Unpack[Arguments]], object]) -> Callable[[Unpack[Arguments]], object]:
        code = getattr(callback, "__code__", None)
        if self.tracer is None or code is None or code.co_filename not in self.traced_files:
            return callback
        return functools.partial(_with, self.tracer, callback)  # type: ignore[return-value]


class Followed(Coroutine[Any, Any, Returned]):
    """A coroutine whose steps run with the tracer on."""

    def __init__(self, steps: Coroutine[Any, Any, Returned], tracer: Tracer) -> None:
        self._steps = steps
        self._tracer = tracer

    def send(self, value: Any) -> Any:
        return _with(self._tracer, self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return _with(self._tracer, self._steps.throw, *error)

    def close(self) -> None:
        _with(self._tracer, self._steps.close)

    def __await__(self) -> Generator[Any, Any, Returned]:
        return self  # what is awaited needs __next__, and may be no generator

    def __iter__(self) -> Followed[Returned]:
        return self

    def __next__(self) -> Any:
        return self.send(None)


def traced(call: Callable[..., Returned], *arguments: Any, **options: Any) -> Returned:
    """Return the result of a store's call; the running loop's tracer follows it, and what it returns to be awaited."""
    tracer = _tracer()
    if tracer is None:
        return call(*arguments, **options)
    made: Any = _with(tracer, functools.partial(call, *arguments, **options))
    return Followed(made, tracer) if isinstance(made, Coroutine) else made  # type: ignore[return-value]


def _tracer() -> Tracer | None:
    try:
        return getattr(asyncio.get_running_loop(), "tracer", None)
    except RuntimeError:  # a test of the user's own calls the store outside a loop
        return None


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task; one that a followed step makes is followed too."""
    tracer: Tracer | None = getattr(loop, "tracer", None)
    follow = tracer is not None and sys.gettrace() is tracer
    return asyncio.Task(Followed(work, tracer) if tracer and follow else work, loop=loop, **options)


def _with(tracer: Tracer, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of the call, made with the tracer on."""
    before = sys.gettrace()
    _set(tracer)
    try:
        return call(*arguments)
    finally:
        _set(before)


def _set(tracer: Tracer | None) -> None:
    with suppress(RuntimeError):  # another thread sets its tracer at this moment: see stop_pausing()
        sys.settrace(tracer)
