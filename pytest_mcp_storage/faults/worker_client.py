"""Worker processes, seen from their parent: they make a plan of calls on a harness's store, and can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from pytest_mcp_storage.faults.worker_protocol import LONGEST_LINE, arguments_to_json, outcome_from_json
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.harness import BackendHarness, HarnessFault

START_LIMIT = 60.0
"""Seconds until a worker must have opened its store."""


@dataclass(frozen=True)
class Step:
    """A call to make: a method of :class:`StorageBackend`, its positional arguments, and a ``ttl`` in seconds."""

    method: str
    arguments: tuple[Any, ...] = ()
    ttl: float | None = None


class WorkerError(HarnessFault):
    """A worker did not start, or ended before its plan without being killed. The message has its last output."""


class Worker:
    """A process with a separate handle on ``harness``'s store (capability CRASH).

    ::

        async with Worker(harness, plan, encryption_key=key) as worker:   # it has opened the store
            worker.go()
            async for call in worker:                                    # each once the backend has returned
                acknowledged.append(call)
                if len(acknowledged) == 50:
                    worker.kill()                                        # the loop ends with what it still reported
        maybe_done = worker.unacknowledged()

    ``name`` names the caller of its calls. ``now`` is the moment (seconds since the epoch) at which its clock stops
    (needs CLOCK; ``None``: the real time). ``callers`` is how many calls of the plan it makes at once. ``start`` and
    ``end`` of calls are on the system's monotonic clock, so calls of several workers can be compared.

    Raises :class:`WorkerError`, also while iterating.
    """

    def __init__(
        self,
        harness: BackendHarness,
        plan: Sequence[Step],
        *,
        name: str = "worker",
        encryption_key: str | Sequence[str] | None = None,
        now: float | None = None,
        callers: int = 1,
    ) -> None:
        self.name = name
        self.plan = list(plan)
        self.callers = callers
        self._order = {
            "harness": f"{type(harness).__module__}:{type(harness).__qualname__}",
            "locator": dict(harness.locator()),
            "encryption_key": encryption_key if encryption_key is None or isinstance(encryption_key, str)
            else list(encryption_key),
            "now": now,
            "callers": callers,
            "path": sys.path,
            "plan": [
                {"method": step.method, "arguments": arguments_to_json(step.method, step.arguments), "ttl": step.ttl}
                for step in self.plan
            ],
        }  # fmt: skip
        self._reported: set[int] = set()
        self._killed = False
        self._finished = False

    async def __aenter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed by __aexit__
        self._process = _started(self._stderr)
        self._output = asyncio.StreamReader(limit=LONGEST_LINE)
        protocol = asyncio.StreamReaderProtocol(self._output)
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._process.stdout)
        try:
            async with asyncio.timeout(START_LIMIT):
                await asyncio.to_thread(self._send, json.dumps(self._order))
                ready = await self._output.readline()
        except BaseException:
            await self.__aexit__()
            raise
        report = json.loads(ready) if ready.endswith(b"\n") else {}
        if "ready" in report:
            return self
        place = f" (raised at {report['at']})" if report.get("at") else ""
        words = f"{report['failed']}{place}" if "failed" in report else await self._last_words()
        await self.__aexit__()
        raise WorkerError(f"{self.name} did not start: {words}")

    async def __aexit__(self, *exc: object) -> None:
        if not self._finished:
            self.kill()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        await asyncio.to_thread(self._process.wait)
        self._pipe.close()
        self._stderr.close()

    @property
    def pid(self) -> int:
        """Return the worker's process id."""
        return self._process.pid

    def go(self) -> None:
        """Let it begin. Several workers that get this call one after another begin within about a millisecond."""
        self._send("go")

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        self._killed = True
        self._process.kill()

    async def __aiter__(self) -> AsyncIterator[Call]:
        """Yield the calls that have returned, in that order, until the plan is done or the worker dead.

        A call's ``result`` is what it returned, or the exception that it raised.
        """
        while line := await self._output.readline():
            if not line.endswith(b"\n"):
                break  # cut off by the kill: that call was not reported
            report = json.loads(line)
            if "done" in report:
                self._finished = True
                return
            self._reported.add(report["place"])
            step = self.plan[report["place"]]
            result = outcome_from_json(step.method, report)
            yield Call(self.name, step.method, step.arguments, step.ttl, report["start"], report["end"], result)
        if not self._killed:
            raise WorkerError(f"{self.name} ended before its plan: {await self._last_words()}")

    def unacknowledged(self) -> list[Call]:
        """Return calls that may have begun and were not reported: done, or not, or half.

        Call it after the iteration.
        """
        unreported = [step for place, step in enumerate(self.plan) if place not in self._reported]
        return [Call(self.name, step.method, step.arguments, step.ttl, 0) for step in unreported[: self.callers]]

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the end of its output shows that the process has ended
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    async def _last_words(self) -> str:
        await asyncio.to_thread(self._process.wait)
        self._stderr.seek(0)
        words = self._stderr.read().decode("utf-8", "replace").strip().splitlines()[-5:]
        return " · ".join(words) or f"exit code {self._process.returncode}, and it wrote nothing to stderr"


def _started(stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    # Not by asyncio: its child watcher conflicts with the kill.
    command = [sys.executable, "-m", "pytest_mcp_storage.faults.worker_main"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
