"""Replay a sequence of calls on a fresh namespace of a store, and judge each call by the model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import HandleOptions, RecordingBackend
from pytest_mcp_storage.engine.timeouts import Overdue
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.judge import Finding, Judge
from pytest_mcp_storage.oracle.scenario import PASS, Scenario, Step
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import SessionData

LONGEST_CALL = 2.0
"""Seconds after which a call of a replay has timed out: the replay then shows nothing."""
ALL_CALLS = 4.0
"""Seconds that the calls of a replay take together at most; for a store that waits for a lock in each of them."""


class Replay:
    """One replay: its handles, opened at their first call, and what the calls returned."""

    def __init__(self, context: TestContext, scenario: Scenario) -> None:
        context.begin()
        self.context = context
        self.scenario = scenario
        self.findings: list[Finding] = []
        self.raised: dict[int, str] = {}
        """The errors of the store, by the place of their call."""
        self._spent = 0.0
        self._handles: dict[str, RecordingBackend] = {}
        self._judges: dict[str, Judge] = {}
        self._created: set[tuple[str, str]] = set()

    async def run(self) -> list[Finding]:
        """Make the calls and return what the model objects to; nothing if a call does not return."""
        try:
            for place, step in enumerate(self.scenario.steps):
                await self._do(place, step)
        except (NotMeasurable, Overdue):
            return []
        except Violation as error:
            if not isinstance(error.__cause__, BaseException):
                return []
        finally:
            await self._close()
        return self.findings

    async def _do(self, place: int, step: Step) -> None:
        if step.method == PASS:
            with _shows_nothing():
                await self.context.pass_time(step.seconds)
            return
        opened = self.scenario.handles.get(step.handle, HandleOptions())
        handle = await self._handle(step.handle, opened)
        marked = self._marked(step)
        options = {} if step.ttl is None else {"ttl": step.ttl}
        result: object
        begun = time.monotonic()
        try:
            result = await getattr(handle, step.method)(*marked.arguments, **options)
        except (NotMeasurable, Overdue):
            raise
        except Violation:
            result = handle_result(self.context)
        except Exception as error:
            result = error
            self.raised[place] = type(error).__name__
        self._spent += time.monotonic() - begun
        if self._spent > ALL_CALLS:
            raise NotMeasurable("the store is too slow to be replayed")
        judge = self._judges.setdefault(
            "" if self.context.one_store else step.handle, Judge(self.context.now, self.context.default_ttl)
        )
        if found := judge.check(place, marked, opened, result):
            self.findings.append(found)

    async def _handle(self, name: str, opened: HandleOptions) -> RecordingBackend:
        if name not in self._handles:
            if not self.context.can(Capability.SHARED):
                await self._disconnect()
            with _shows_nothing():
                handle = await self.context.open(*opened.keys, name=name, default_ttl=opened.default_ttl)
            self._handles[name] = handle
            self._handles[name].limit = LONGEST_CALL
        return self._handles[name]

    def _marked(self, step: Step) -> Step:
        def identity(name: Any) -> Any:
            return name if name in self.scenario.literal or not isinstance(name, str) else self.context.identity(name)

        def session_id(name: Any) -> Any:
            return name if name in self.scenario.literal or not isinstance(name, str) else self.context.session_id(name)

        first = step.arguments[0] if step.arguments else None
        if isinstance(first, SessionData):
            names = {"identity": identity(first.identity), "session_id": session_id(first.session_id)}
            self._created.add((names["identity"], names["session_id"]))
            return replace(step, arguments=(first.model_copy(update=names),))
        renamed = tuple(rename(name) for rename, name in zip((identity, session_id), step.arguments, strict=False))
        return replace(step, arguments=(*renamed, *step.arguments[2:]))

    async def _close(self) -> None:
        if self.context.one_store and self._handles:
            last = list(self._handles.values())[-1].backend
            for name in self._created:
                with suppress(Exception):
                    await last.remove_session(*name)
        await self._disconnect()

    async def _disconnect(self) -> None:
        for handle in self._handles.values():
            with suppress(Exception):
                await handle.backend.disconnect()
        self.context.give_up(self._handles.values())


@contextmanager
def _shows_nothing() -> Iterator[None]:
    """Turn what the harness raises, such as for a second handle, into a replay that shows nothing."""
    try:
        yield
    except Exception as error:
        raise NotMeasurable(f"the replay ended at {describe(error)}") from error


def handle_result(context: TestContext) -> object:
    """Return what the last recorded call returned: the recording refuses a listing of other things."""
    return context.history.calls()[-1].result
