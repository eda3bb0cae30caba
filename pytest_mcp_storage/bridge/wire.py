"""Calls and answers: many at the same time, each answered once, in any order, within a time limit."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pytest_mcp_storage.bridge.child import Child
from pytest_mcp_storage.bridge.errors import BridgeFault, error_of
from pytest_mcp_storage.bridge.marks import read_line, write_line
from pytest_mcp_storage.spec.harness import NotMeasurable

LONGEST_LINE = 64 * 2**20
"""The most bytes of a line from the bridge. A session of RT-5 takes 12 MiB if every character is escaped."""

LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
SHOWN = 80
REPORTED = 600
"""The most characters of a fault, without the end of stderr."""

Observer = Callable[[bytes], None]
"""Gets each line, in both directions."""


@dataclass(frozen=True)
class Limits:
    """The time limits of a bridge, in seconds."""

    start: float = 60.0
    """From its start to the answer to ``hello``: a compiler or an installer may run first."""
    provision: float = 180.0
    """To provision, attach or destroy a store."""
    call: float = 25.0
    """For any other call. Then it is pinged: if the bridge answers, the backend hangs."""
    ping: float = 5.0
    """To answer a ping."""
    leave: float = 5.0
    """To end after its stdin is closed."""


@dataclass
class _Waiting:
    call: str
    future: asyncio.Future[Any] | Future[Any]
    """``asyncio``'s future if a task waits for it; the other kind needs no loop."""
    deadline: float
    final: bool = False
    """Whether the deadline is final, without a ping."""


@dataclass
class Wire:
    """A started bridge. After it has violated the protocol, every call raises :class:`BridgeFault`.

    ``observer`` gets each line in both directions, before it is checked.
    """

    command: Sequence[str]
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] | None = None
    observer: Observer | None = None
    accepted: int = LONGEST_LINE
    """Bytes that the bridge accepts in a line, as it answered ``hello``."""

    def __post_init__(self) -> None:
        self._fault: str | None = None
        self._fault_shown = False
        self._closing = False
        self._last_id = 0
        self._waiting: dict[int, _Waiting] = {}
        self._abandoned: set[int] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log = logging.getLogger("pytest_mcp_storage.bridge")
        self._child = Child(
            self.command,
            on_line=self._take,
            on_end=self._ended,
            on_overlong=self._overlong,
            longest_line=LONGEST_LINE,
            env=self.env,
        )

    @property
    def broken(self) -> bool:
        """Whether every further call raises :class:`BridgeFault`."""
        return self._fault is not None

    @property
    def pid(self) -> int:
        """Return the process id of the bridge."""
        return self._child.pid

    async def call(self, call: str, limit: float | None = None, **arguments: Any) -> Any:
        """Return the result of one call.

        Raises the typed error of the answer, :class:`ForeignError` for another type, :class:`NotMeasurable` if the
        bridge declines the call, :class:`BridgeFault`.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._follow(loop)
        number = self._send(call, arguments)
        future: asyncio.Future[Any] = loop.create_future()
        deadline = loop.time() + (self.limits.call if limit is None else limit)
        self._waiting[number] = _Waiting(call, future, deadline, final=limit is not None)
        if self._watch is None or deadline < self._watch.when():
            self._watch_again()
        try:
            return await future
        except asyncio.CancelledError:
            if self._waiting.pop(number, None) is not None:
                self._abandoned.add(number)
            raise
        except BridgeFault:
            self._fault_shown = True
            raise

    def call_now(self, call: str, **arguments: Any) -> Any:
        """Return the same without a loop: block until the answer comes. For the only call that is not async."""
        number = self._send(call, arguments)
        future: Future[Any] = Future()
        deadline = time.monotonic() + self.limits.call
        self._waiting[number] = _Waiting(call, future, math.inf)
        while not future.done():
            left = deadline - time.monotonic()
            if left <= 0:
                self.break_off(f"did not answer {call!r} within {self.limits.call:g} s{self._unfinished()}")
            else:
                self._child.pump(left)
        try:
            return future.result()
        except BridgeFault:
            self._fault_shown = True
            raise

    def break_off(self, what: str) -> None:
        """Let every further call raise a fault that says ``what`` the bridge did. The first fault is kept."""
        if self._fault is None:
            what = what if len(what) <= REPORTED else f"{what[:REPORTED]}…"  # it may contain a megabyte from the bridge
            self._fault = f"the bridge `{' '.join(self.command)}` {what}.{self._child.exit_report()}"
            self._child.close_pipes()
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(BridgeFault(self._fault))
        self._waiting.clear()

    def fault(self, what: str) -> BridgeFault:
        """Break off, and return the error to raise."""
        self.break_off(what)
        self._fault_shown = True
        assert self._fault is not None
        return BridgeFault(self._fault)

    def close(self) -> None:
        """End the process. Raises :class:`BridgeFault` if it violated the protocol and no call has reported it."""
        if self._watch is not None:
            self._watch.cancel()
        self._closing = True
        deadline = time.monotonic() + self.limits.leave
        if self._fault is None:
            self._child.close_input()
        while self._child.reads and (left := deadline - time.monotonic()) > 0:
            self._child.pump(left)  # it may have written one answer too many
        left_by_itself = self._child.end(max(0.0, deadline - time.monotonic()))
        if self._fault is None and not left_by_itself:
            self._log.warning(
                "the bridge `%s` did not end within %g s after its stdin was closed, and was killed",
                " ".join(self.command),
                self.limits.leave,
            )
        if self._fault is not None and not self._fault_shown:
            raise BridgeFault(self._fault)

    def _send(self, call: str, arguments: dict[str, Any]) -> int:
        if self._fault is not None:
            self._fault_shown = True
            raise BridgeFault(self._fault)
        if self._closing:
            raise BridgeFault(f"{call!r} was asked for after the bridge `{' '.join(self.command)}` was ended")
        number = self._last_id + 1
        message = {"id": number, "call": call, **arguments}
        line = write_line(message)
        if len(line) > self.accepted:
            raise NotMeasurable(f"the bridge accepts lines of {self.accepted:,} bytes; {call!r} needs {len(line):,}")
        self._last_id = number
        if self.observer is not None:
            self.observer(line)
        self._child.send(line)
        return number

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the caller's loop. A backend may be opened on one loop and used on another, with another clock."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._loop = loop
        self._child.follow(loop)

    def _take(self, line: bytes) -> None:
        if self._fault is not None:
            return
        if len(line) > LONGEST_LINE:
            self._overlong()
            return
        if self.observer is not None:
            self.observer(line)
        try:
            message = read_line(line)
        except (ValueError, RecursionError) as error:
            self.break_off(f"wrote a line that is not JSON in UTF-8 ({error}): {_shown(line)}")
            return
        if not isinstance(message, dict):
            self.break_off(f"wrote a line that is not an object: {_shown(line)}")
        elif "log" in message:
            self._take_log(message)
        else:
            self._take_answer(message)

    def _take_answer(self, answer: dict[str, Any]) -> None:
        number = answer.get("id")
        if type(number) is not int or len(answer) != 2 or not ("result" in answer or "error" in answer):
            members = ", ".join(sorted(answer)) or "nothing"
            self.break_off(f"wrote an answer with the members {members}, not an id and a result, or an id and an error")
            return
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            if number in self._abandoned:
                self._abandoned.discard(number)
            elif 1 <= number <= self._last_id:
                self.break_off(f"answered call {number} twice")
            else:
                self.break_off(f"answered call {number}, which was never made")
            return
        if "result" in answer:
            if not waiting.future.done():
                waiting.future.set_result(answer["result"])
            return
        error = error_of(answer["error"])
        if error is None:
            self._waiting[number] = waiting
            self.break_off("wrote an error that is not of the form type and message")
        elif not waiting.future.done():
            waiting.future.set_exception(error)

    def _take_log(self, message: dict[str, Any]) -> None:
        match message:
            case {"log": {"level": str(level), "message": str(text)}} if len(message) == 1 and level in LEVELS:
                self._log.log(LEVELS[level], "%s", text)
            case _:
                self.break_off(f"wrote a log line without a message or with a level other than {', '.join(LEVELS)}")

    def _ended(self, rest: bytes) -> None:
        if self._fault is None and (rest or not self._closing):
            calls = sorted({waiting.call for waiting in self._waiting.values()})
            doing = f" before it answered {', '.join(calls)}" if calls else ""
            half = f" in the middle of a line: {_shown(rest)}" if rest else ""
            self.break_off(f"closed its stdout{doing}{half}")

    def _overlong(self) -> None:
        self.break_off(f"wrote a line of more than {LONGEST_LINE:,} bytes")

    def _unfinished(self) -> str:
        return f"; it wrote half a line: {_shown(self._child.head)}" if self._child.head else ""

    def _watch_again(self) -> None:
        """Set the timer for the earliest deadline."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._waiting and self._loop is not None:
            earliest = min(waiting.deadline for waiting in self._waiting.values())
            self._watch = self._loop.call_at(earliest, self._look)

    def _look(self) -> None:
        """Break off if a deadline has passed; ping first if the backend may hang instead of the bridge."""
        self._watch = None
        assert self._loop is not None
        now = self._loop.time()
        late = [waiting for waiting in self._waiting.values() if waiting.deadline <= now]
        for waiting in late:
            if waiting.final:
                self.break_off(f"did not answer {waiting.call!r} in time{self._unfinished()}")
                return
            waiting.deadline = now + self.limits.call
        if late:
            self._waiting[self._send("ping", {})] = _Waiting("ping", Future(), now + self.limits.ping, final=True)
        self._watch_again()


def _shown(line: bytes) -> str:
    text = line[: SHOWN * 4].decode(errors="replace")
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
