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
    """Raised by a harness method that can't measure; the clause is then NOT_MEASURED, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HarnessFault(Exception):
    """The harness failed, or a program that it drives; this says nothing about the store."""


class BackendHarness:
    """One store, provisioned empty for a run and destroyed after it.

    ``async with`` provisions and destroys; ``open`` gives handles on the store in between. Override ``open``, and
    the methods of each capability that you declare. The suite's clock starts at the real time and never goes back.
    """

    name: ClassVar[str] = ""
    """How reports and badges call the store. Empty: the name after ``--mcp-backend``."""
    capabilities: frozenset[Capability] = frozenset()
    """What the store and this harness can do; each adds clauses. An instance may narrow it in ``__aenter__``."""
    dedicated: bool = True
    """Whether the store holds only this run's data. False: store-wide clauses need ``--mcp-allow-destructive``."""
    time_limit: float = 10.0
    """Seconds within which the store must report that it can't be reached (FA-1)."""
    default_ttl_seconds: float = 43_200.0
    """Seconds that a session lives if neither a call nor ``open`` gives a TTL (EX-6). Set it if your store has another
    fixed default; the contract asks for twelve hours, so say in your docs that you differ."""
    will_be_killed: bool = False
    """The suite sets this before ``__aenter__`` if it will kill the store's processes (DU-2, DU-3). A server that the
    harness starts must then sync each write."""

    async def __aenter__(self) -> Self:
        """Provision an empty store for this harness alone."""
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
        """Return a new handle on the store, initialised and ready.

        ``encryption_key`` is given only with KEY, ``clock`` only with CLOCK, ``default_ttl`` (seconds) only with
        DEFAULT_TTL. ``None`` means the backend's own default. Leave out the arguments that you do not declare.
        """
        raise NotImplementedError(f"{type(self).__name__} must define open(): a handle on its store, ready to use")

    async def stored_bytes(self) -> bytes:
        """AT_REST: return everything that is stored: rows, files, logs, indexes."""
        raise self._missing("stored_bytes", Capability.AT_REST)

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        """AT_REST: return ``tokens`` and ``headers`` as stored: envelope text, an object in clear, or ``None``.

        Raises ``LookupError`` if there is no row; an expired row counts until it is cleaned up. Adding
        ``code_verifier`` and ``client_information`` lets EN-11 be measured too.
        """
        raise self._missing("stored_fields", Capability.AT_REST)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        """AT_REST: plant ``value`` as the stored ``tokens`` or ``headers`` of a session, past the backend."""
        raise self._missing("replace_stored_field", Capability.AT_REST)

    def outage(self) -> AbstractAsyncContextManager[None]:
        """OUTAGE: make the store unreachable inside the context."""
        raise self._missing("outage", Capability.OUTAGE)

    def lost_answer(self) -> AbstractAsyncContextManager[None]:
        """LOST_ANSWER: let requests arrive and lose their answers inside the context."""
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
        """Remove the store's table, or replace it by one of an older version, inside the context (SETUP)."""
        raise self._missing("unprepared", Capability.SETUP)

    def files(self) -> Sequence[Path]:
        """FILES: return every file of the store, the main one first; the suite damages them with no handle open."""
        raise self._missing("files", Capability.FILES)

    def locator(self) -> Mapping[str, Any]:
        """CRASH: return JSON with which another process finds this store."""
        raise self._missing("locator", Capability.CRASH)

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        """CRASH: return a harness on that store; it neither provisions nor destroys."""
        raise NotImplementedError(f"{cls.__name__} declares CRASH and must define attach()")

    async def open_as(self, user: str | None) -> StorageBackend:
        """ROW_SECURITY: return a handle as a signed-in user; ``None``: without one."""
        raise self._missing("open_as", Capability.ROW_SECURITY)

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        """ROW_SECURITY: insert the row past the backend, or hand the existing one over, with ``user_id = owner``.

        Raises ``StorageError`` if the store refuses.
        """
        raise self._missing("write_row_as", Capability.ROW_SECURITY)

    def _missing(self, method: str, capability: Capability) -> NotImplementedError:
        name = type(self).__name__
        if capability in self.capabilities:
            return NotImplementedError(f"{name} declares {capability.name} and must define {method}()")
        return NotImplementedError(f"{name} has no {method}(), nor does it declare {capability.name}")
