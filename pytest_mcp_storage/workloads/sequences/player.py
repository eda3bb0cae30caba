"""Play a planned sequence on a store, and compare each answer with the model."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.oracle.sequence_model import Gone, Sealed, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.workloads.sequences import values, violations
from pytest_mcp_storage.workloads.sequences.faulty import FaultySteps
from pytest_mcp_storage.workloads.sequences.handles import Handles
from pytest_mcp_storage.workloads.sequences.reads import OWNERS
from reference_backends import DecryptionError, InvalidSessionError, SessionExistsError, SessionNotFoundError

LISTING_EVERY = 5
"""Steps after which a watched run reads the listings too."""


class Player(FaultySteps):
    """One run. ``watched``: read after each step, too; otherwise only as planned, and everything at the end."""

    def __init__(
        self,
        context: TestContext,
        handles: Handles,
        secret: str,
        *,
        watched: bool,
        fillers: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(context, handles, secret, fillers)
        self.watched = watched

    async def play(self, steps: Sequence[Step]) -> None:
        """Do the steps and read everything at the end. Raises :class:`SequenceViolation` at the first wrong answer."""
        for step in steps:
            self.steps.append(step)
            await self._do(step)
            if self.watched and not step.operation.only_reads:
                await self._watch(step)
        for number in range(len(self.handles.usual)):
            await self.check_all(number)

    async def clean_up(self) -> None:
        """Remove the run's sessions."""
        for slot in self.model.slots.values():
            await outcome_of(self.handles.usual[0].remove_session(*slot.name))

    async def _watch(self, step: Step) -> None:
        reader = (step.handle + step.number) % len(self.handles.usual)
        if step.slot >= 0:
            await self.check(self.slot(step), reader)
        if step.number % LISTING_EVERY == 0:
            await self.check_listing(step.identity, reader)
            await self.check_ids(step.identity, reader)

    async def _do(self, step: Step) -> None:
        operation, handle = step.operation, self.handles.usual[step.handle]
        match operation.name:
            case "get" | "get of a missing session":
                await self.check(self.slot(step), step.handle)
            case "listing":
                await self.check_listing(step.identity, step.handle)
            case "listing of ids":
                await self.check_ids(step.identity, step.handle)
            case "all ids":
                await self.check_all_ids(step.handle)
            case "create" | "create with ttl" | "create again":
                await self._create(step, handle)
            case "create in clear":
                await self._create(step, self.handles.clear)
            case "update in clear":
                await self._update(step, self.handles.clear)
            case "remove" | "remove of a missing session":
                await self.answer(handle.remove_session(*self.slot(step).name), "remove_session")
                self.model.removed(self.slot(step), Gone.REMOVED)
            case "cleanup":
                await self.answer(handle.cleanup_expired_sessions(), "cleanup_expired_sessions")
                await self._check_cleaned()
            case "update by another identity" | "remove by another identity" | "get by another identity":
                await self._by_another_identity(step, handle)
            case "clear":
                await self.answer(handle.clear_all(), "clear_all")
                for slot in self.model.slots.values():
                    self.model.removed(slot, Gone.CLEARED)
            case "short time" | "long time":
                await self.context.pass_time(operation.lasts(self.context.default_ttl))
            case "disconnect and init":
                await self._reopen(step, handle)
            case "read with another key":
                await self._read_sealed(step, self.handles.other, "with another key")
            case "read without a key":
                await self._read_sealed(step, self.handles.clear, "without a key")
            case "cancelled update" | "cancelled create" | "cancelled get":
                await self.cancelled(step, handle)
            case "read in an outage" | "update in an outage":
                await self.in_an_outage(step, handle)
            case "create without an answer" | "update without an answer":
                await self.without_an_answer(step, handle)
            case _:
                await self._update(step, handle)

    async def _create(self, step: Step, handle: RecordingBackend) -> None:
        slot, session, ttl = (
            self.slot(step),
            values.session_of(step, self.slot(step).name, self.secret),
            values.ttl_of(step.operation),
        )
        expected = self.model.expected(slot)
        got = await outcome_of(handle.create_session(session, ttl))
        if isinstance(got, SessionExistsError):
            if expected.ended:
                clause = violations.of_a_refused_create(self.model, slot, self.steps)
                raise self.violation(
                    clause, "REFUSED", f"create_session {describe(got)}", "create it: no such session is live"
                )
            return
        if isinstance(got, Exception):
            raise self.unexpected("create_session", got)
        if expected.live:
            raise self.violation("LC-1", "ACCEPTED", "create_session took a session that is live",
                                  "raise SessionExistsError")  # fmt: skip
        slot.before = self.model.why_gone(slot)
        self.model.created(slot, session, ttl)
        self._written(step, slot, Sealed.NO if handle.name == "keyless" else Sealed.YES)

    async def _update(self, step: Step, handle: RecordingBackend) -> None:
        slot, changes, ttl = self.slot(step), values.changes_of(step, self.secret), values.ttl_of(step.operation)
        expected = self.model.expected(slot)
        got = await outcome_of(handle.update_session(*slot.name, changes, ttl))
        keyless = handle.name == "keyless"
        if step.operation.name == "refused update" and not isinstance(got, SessionNotFoundError):
            if not isinstance(got, InvalidSessionError):
                what = f"update_session of {next(iter(changes))} {describe(got)}"
                raise self.violation("LC-6", "ACCEPTED", what, "raise InvalidSessionError")
            return
        if isinstance(got, SessionNotFoundError):
            if expected.live:
                raise self.misread(Symptom.MISSING, slot, f"update_session {describe(got)}", self.steps[:-1])
            return
        if isinstance(got, DecryptionError) and keyless and slot.sealed is not Sealed.NO:
            return  # a store that reads before it writes may refuse
        if isinstance(got, Exception):
            raise self.unexpected("update_session", got)
        if expected.ended:
            clause = violations.of_an_accepted_update(self.model, slot)
            raise self.violation(clause, "ACCEPTED", "update_session took a session that is not live",
                                  "raise SessionNotFoundError")  # fmt: skip
        self.model.updated(slot, changes, ttl)
        if not keyless:
            sealed = Sealed.YES if "tokens" in changes or slot.sealed is Sealed.YES else Sealed.PERHAPS
            self._written(step, slot, sealed)
        else:
            self._written(step, slot, slot.sealed)

    async def _by_another_identity(self, step: Step, handle: RecordingBackend) -> None:
        stranger, session_id = self.context.identity(OWNERS[1 - step.identity]), self.slot(step).name[1]
        if step.operation.name.startswith("get"):
            seen = await self.answer(handle.get_session(stranger, session_id), "get_session")
            if seen is not None:
                raise self.violation("ID-5", "MIXED_UP", "get_session by another identity returned it", "return None")
        elif step.operation.name.startswith("remove"):
            await self.answer(handle.remove_session(stranger, session_id), "remove_session")
        else:
            got = await outcome_of(handle.update_session(stranger, session_id, values.changes_of(step, self.secret)))
            if not isinstance(got, SessionNotFoundError):
                what = f"update_session by another identity {describe(got)}"
                raise self.violation("LC-5", "ACCEPTED", what, "raise SessionNotFoundError")

    async def _check_cleaned(self) -> None:
        """Compare what is stored with what cleanup leaves: no row of an expired session."""
        if not self.context.can(Capability.AT_REST):
            return
        for slot in self.model.slots.values():
            expected = self.model.expected(slot)
            if not (expected.ended and expected.expired) or slot.forgotten:
                continue
            try:
                await self.context.harness.stored_fields(*slot.name)
            except LookupError:
                continue
            what = f"after cleanup_expired_sessions the row of {slot.name[1]!r}, which has expired, is still stored"
            raise self.violation("EX-5", "STORED", what, "be removed")

    async def _reopen(self, step: Step, handle: RecordingBackend) -> None:
        times = 1 + (step.number % 3 == 0)
        for _ in range(times):
            await self.answer(handle.disconnect(), "disconnect")
        for _ in range(times):
            await self.answer(handle.init(), "init")
        if not self.context.can(Capability.DURABLE):
            for slot in self.model.slots.values():
                slot.forgotten = True

    async def _read_sealed(self, step: Step, handle: RecordingBackend, how: str) -> None:
        slot = self.slot(step)
        got = await outcome_of(handle.get_session(*slot.name))
        if isinstance(got, DecryptionError) and slot.sealed is not Sealed.NO:
            return
        if isinstance(got, Exception):
            raise self.unexpected(f"get_session {how}", got)
        if got is not None and slot.sealed is Sealed.YES and self.model.expected(slot).live:
            raise self.violation(
                "EN-5", "OPENED", f"get_session {how} returned a sealed session", "raise DecryptionError"
            )
        self.compare(slot, got, f"get_session {how}")

    def _written(self, step: Step, slot: Slot, sealed: Sealed) -> None:
        slot.last, slot.writer, slot.sealed = step.operation, step.handle, sealed
