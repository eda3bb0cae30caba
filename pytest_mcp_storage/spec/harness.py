"""How the suite drives one kind of store. A backend's author subclasses :class:`BackendHarness`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pytest_mcp_storage.spec.capabilities import Capability

if TYPE_CHECKING:
    from reference_backends import Clock, SessionData, StorageBackend


class NotMeasurable(Exception):
    """Raised by a harness method that can't look after all; the clause is then NOT_MEASURED, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HarnessFault(Exception):
    """The harness broke down, or a program that it drives: that says nothing of the store, and measures nothing."""


class BackendHarness:
    """One store, provisioned empty for a run and destroyed after it.

    ``async with`` provisions and destroys; ``open`` gives handles on the store in between. Override ``open``, and
    the methods of each capability that you declare. The suite's clock starts at the real time and never goes back.
    """

    name: ClassVar[str] = ""
    capabilities: frozenset[Capability] = frozenset()
    """Of the class; an instance may narrow it once it knows its store."""
    dedicated: bool = True
    """False: the store may hold others' data; store-wide clauses then need ``--mcp-allow-destructive``."""
    time_limit: float = 10.0
    """Seconds within which an unreachable store must be reported (FA-1)."""
    will_be_killed: bool = False
    """Set before a store is provisioned whose processes will be killed (DU-2, DU-3): a server of its own then syncs
    each write, as it should where durability is what counts."""

    async def __aenter__(self) -> Self:
        """Provision an empty store of this harness's own."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Destroy that store, and nothing else."""

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> StorageBackend:
        """A new handle on the store, initialised and ready. ``default_ttl`` is in seconds.

        ``encryption_key`` is given only with KEY, ``clock`` only with CLOCK; ``None`` means the backend's default.
        """
        raise NotImplementedError(f"{type(self).__name__} must define open(): a handle on its store, ready to use")

    async def stored_bytes(self) -> bytes:
        """AT_REST: everything that lies in the store: rows, files, logs, indexes."""
        raise self._missing("stored_bytes", Capability.AT_REST)

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        """AT_REST: ``tokens`` and ``headers`` as stored: envelope text, an object in clear, or ``None``.

        Raises ``LookupError`` where no row lies there; an expired row counts until it is cleaned up. Adding
        ``code_verifier`` and ``client_information`` lets EN-11 be measured too.
        """
        raise self._missing("stored_fields", Capability.AT_REST)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        """AT_REST: plant ``value`` as the stored ``tokens`` or ``headers`` of a session, past the backend."""
        raise self._missing("replace_stored_field", Capability.AT_REST)

    def outage(self) -> AbstractAsyncContextManager[None]:
        """OUTAGE: inside it the store can't be reached."""
        raise self._missing("outage", Capability.OUTAGE)

    def lost_answer(self) -> AbstractAsyncContextManager[None]:
        """LOST_ANSWER: inside it requests arrive, and answers don't."""
        raise self._missing("lost_answer", Capability.LOST_ANSWER)

    def fail_request(
        self, k: int, how: Literal["refused", "lost", "late", "conflict"]
    ) -> AbstractAsyncContextManager[None]:
        """FAIL_STEP: inside it the k-th request that the store sends fails; the first one is number 1.

        ``"refused"``: it does not arrive; ``"lost"``: its answer does not; ``"late"``: that comes late;
        ``"conflict"``: the store refuses it since another change came first.
        """
        raise self._missing("fail_request", Capability.FAIL_STEP)

    def unprepared(self, how: Literal["missing", "old"]) -> AbstractAsyncContextManager[None]:
        """SETUP: inside it the store's table is missing, or one of an older version."""
        raise self._missing("unprepared", Capability.SETUP)

    def files(self) -> Sequence[Path]:
        """FILES: every file of the store, the main one first; the suite damages them with no handle open."""
        raise self._missing("files", Capability.FILES)

    def locator(self) -> Mapping[str, Any]:
        """CRASH: JSON, enough for another process to find this very store."""
        raise self._missing("locator", Capability.CRASH)

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        """CRASH: a harness on that store; it neither provisions nor destroys."""
        raise NotImplementedError(f"{cls.__name__} declares CRASH and must define attach()")

    async def open_as(self, user: str | None) -> StorageBackend:
        """ROW_SECURITY: a handle as a signed-in user; ``None``: without one."""
        raise self._missing("open_as", Capability.ROW_SECURITY)

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        """ROW_SECURITY: past the backend, insert the row, or hand the existing one over, with ``user_id = owner``.

        Raises ``StorageError`` where the store refuses.
        """
        raise self._missing("write_row_as", Capability.ROW_SECURITY)

    def _missing(self, method: str, capability: Capability) -> NotImplementedError:
        name = type(self).__name__
        if capability in self.capabilities:
            return NotImplementedError(f"{name} declares {capability.name} and must define {method}()")
        return NotImplementedError(f"{name} has no {method}(), nor does it declare {capability.name}")
