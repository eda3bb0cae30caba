"""A handle that records its calls, so that a failure can show the shortest history that leads to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_mcp_storage.engine.timeouts import GRACE, Overdue, in_time
from pytest_mcp_storage.engine.tracing import traced
from pytest_mcp_storage.engine.violation import NoReturn, Violation
from pytest_mcp_storage.spec.call import Call
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import SessionData, SessionUpdate, StorageBackend

Item = TypeVar("Item")

OTHERS_DATA = "which may hold others' data: --mcp-allow-destructive allows it"
LONGEST_CALL = 60.0
"""Seconds after which a call counts as one that never returns."""


@dataclass(frozen=True)
class HandleOptions:
    """How a handle was opened, so that a replay can open the same. ``repeatable``: a replay can do it at all."""

    keys: tuple[str, ...] = ()
    default_ttl: float | None = None
    repeatable: bool = True


UNREPEATABLE = HandleOptions(repeatable=False)


class Passed(str):
    """The remark that some seconds have passed."""

    seconds: float

    @classmethod
    def of(cls, seconds: float) -> Passed:
        """Return the remark for this many seconds."""
        remark = cls(f"… {round(seconds, 3):.12g} s pass …")
        remark.seconds = seconds
        return remark


class History:
    """The calls of one example in order, with remarks, such as passing time, between them.

    ``mark``: what the names of the example contain. ``handles``: how each handle that was called was opened.
    """

    def __init__(self, mark: str = "") -> None:
        self.entries: list[Call | str] = []
        self.mark = mark
        self.handles: dict[str, HandleOptions] = {}

    def note(self, remark: str) -> None:
        """Add a remark."""
        self.entries.append(remark)

    def calls(self) -> list[Call]:
        """Return the calls alone, by their start."""
        return [entry for entry in self.entries.copy() if isinstance(entry, Call)]

    def stuck(self) -> Call | None:
        """Return the call that has timed out but still runs: it blocks the event loop, or ignores its cancellation."""
        longest_ago = time.monotonic_ns() - (LONGEST_CALL + GRACE) * 1e9
        return next((call for call in self.calls() if call.waiting and call.start < longest_ago), None)

    def lines(self, most: int = 40) -> list[str]:
        """Return one line for each entry; of a long history the beginning and the end."""
        entries = self.entries
        if len(entries) <= most:
            return [str(entry) for entry in entries]
        head = most // 4
        return [*map(str, entries[:head]), f"… {len(entries) - most} calls …", *map(str, entries[head - most :])]


class RecordingBackend:
    """A :class:`StorageBackend` that passes every call on and records it. ``lost`` is called for each that times out.

    ``protects_others``: store-wide calls raise :class:`NotMeasurable`, since the store may hold others' data. Tests ask
    ``TestContext.store_is_ours`` first; this protects the data if a test forgets to.
    """

    def __init__(
        self,
        backend: StorageBackend,
        name: str,
        history: Callable[[], History],
        lost: Callable[[], None] = lambda: None,
        *,
        protects_others: bool = False,
        sealed: bool = False,
        opened: HandleOptions = UNREPEATABLE,
    ) -> None:
        self.backend = backend
        self.name = name
        self.opened = opened
        self._history = history
        self._lost = lost
        self._protects_others = protects_others
        self._sealed = sealed
        self.limit = LONGEST_CALL
        """Seconds after which a call has timed out."""

    def called(self, name: str) -> RecordingBackend:
        """Return the same handle for another caller."""
        caller = type(self)(
            self.backend,
            name,
            self._history,
            self._lost,
            protects_others=self._protects_others,
            opened=self.opened,
            sealed=self._sealed,
        )
        caller.limit = self.limit
        return caller

    def generate_session_id(self) -> str:
        try:
            return traced(self.backend.generate_session_id)
        except Exception as error:
            blame(error, "generate_session_id")
            raise

    async def init(self) -> None:
        await self._call("init", self.backend.init)

    async def create_session(self, session: SessionData, ttl: Any = None) -> None:
        await self._call("create_session", self.backend.create_session, session, ttl=ttl)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate | dict[str, Any], ttl: Any = None
    ) -> None:
        await self._call("update_session", self.backend.update_session, identity, session_id, changes, ttl=ttl)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        seen: SessionData | None = await self._call("get_session", self.backend.get_session, identity, session_id)
        return seen

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        seen: list[SessionData] = await self._call(
            "get_identity_sessions_data", self.backend.get_identity_sessions_data, identity
        )
        return _list_of(SessionData, seen, "get_identity_sessions_data")

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        seen: list[str] = await self._call(
            "get_identity_mcp_sessions", self.backend.get_identity_mcp_sessions, identity
        )
        return _list_of(str, seen, "get_identity_mcp_sessions")

    async def remove_session(self, identity: str, session_id: str) -> None:
        await self._call("remove_session", self.backend.remove_session, identity, session_id)

    async def get_all_session_ids(self) -> list[str]:
        seen: list[str] = await self._call("get_all_session_ids", self.backend.get_all_session_ids)
        return _list_of(str, seen, "get_all_session_ids")

    async def clear_all(self) -> None:
        self._refuse_store_wide("clear_all")
        await self._call("clear_all", self.backend.clear_all)

    async def cleanup_expired_sessions(self) -> None:
        self._refuse_store_wide("cleanup_expired_sessions")
        await self._call("cleanup_expired_sessions", self.backend.cleanup_expired_sessions)

    async def disconnect(self) -> None:
        await self._call("disconnect", self.backend.disconnect)

    def _refuse_store_wide(self, method: str) -> None:
        if self._protects_others:
            raise NotMeasurable(f"{method} touches the whole store, {OTHERS_DATA}")

    async def _call(
        self, method: str, function: Callable[..., Awaitable[Any]], *arguments: Any, ttl: Any = None
    ) -> Any:
        call = Call(self.name, method, arguments, ttl, time.monotonic_ns(), waiting=True, sealed=self._sealed)
        history = self._history()
        history.entries.append(call)
        history.handles[self.name] = self.opened
        options = {} if ttl is None else {"ttl": ttl}
        try:
            call.result = await in_time(method, function, *arguments, limit=self.limit, **options)
        except Overdue as error:
            if self.limit >= LONGEST_CALL:
                self._lost()
            raise NoReturn(str(error), should="return") from None
        except Exception as error:
            call.result = error
            call.end = time.monotonic_ns()
            blame(error, method)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            call.cancelled = True
            raise
        except BaseException as error:  # SystemExit would end the suite's loop, and pytest.skip() the test
            call.result, call.end = error, time.monotonic_ns()
            raise Violation(f"{method} {describe(error)}", should="raise no more than an Exception") from error
        finally:
            call.waiting = False
        call.end = time.monotonic_ns()
        return call.result


def blame(error: Exception, method: str) -> None:
    """Note on an error which store call raised it, to distinguish it from a fault of the harness or the suite."""
    error.__mcp_call__ = method  # type: ignore[attr-defined]


def blamed(error: Exception) -> str:
    """Return the call of the store that raised the error; empty if none did."""
    method: str = getattr(error, "__mcp_call__", "")
    return method


def _list_of(kind: type[Item], seen: list[Item], method: str) -> list[Item]:
    """Return what a listing returned. Raise :class:`Violation` for anything but a list of such items."""
    if isinstance(seen, list) and all(isinstance(item, kind) for item in seen):
        return seen
    items = {type(item).__name__ for item in seen} if isinstance(seen, list) else ()
    found = f"a list of {' and '.join(sorted(items))}" if items else f"a {type(seen).__name__}"
    raise Violation(f"{method} returned {found}", should=f"return a list of {kind.__name__}")
