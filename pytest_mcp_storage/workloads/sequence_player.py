"""Play a planned sequence on a store, and compare each answer with the model."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.timeouts import Overdue
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.operations import Effect, Operation
from pytest_mcp_storage.oracle.sequence_model import Gone, Sealed, SequenceModel, Slot, Symptom
from pytest_mcp_storage.oracle.sequence_plan import Step
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import told
from pytest_mcp_storage.workloads import sequence_verdict
from pytest_mcp_storage.workloads.cancellation import interrupted
from pytest_mcp_storage.workloads.outages import PAUSE, in_time
from pytest_mcp_storage.workloads.sequence_verdict import SequenceViolation
from reference_backends import (
    DecryptionError,
    InvalidSessionError,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    StorageUnavailableError,
)

NO_ANSWER = (StorageUnavailableError, Overdue)
OWNERS = ("alice", "bob")
REFUSED: tuple[dict[str, Any], ...] = ({"session_id": "other"}, {"identity": "other"}, {"no_such_field": 1})
NOTHING: dict[str, Any] = dict.fromkeys(("tokens", "headers", "code_verifier", "server_id", "client_id"))
LISTINGS = {
    "get_identity_sessions_data": "ID-1", "get_identity_mcp_sessions": "ID-2", "get_all_session_ids": "ID-7",
}  # fmt: skip
LISTING_EVERY = 5
"""Steps after which a watched run reads the listings too."""


class Handles:
    """The handles of all runs: one or two with the key, and, if the store allows it, one without and one with another."""

    def __init__(self, usual: list[RecordingBackend], clear: RecordingBackend | None, other: RecordingBackend | None):
        self.usual, self._clear, self._other = usual, clear, other

    @classmethod
    async def open(cls, context: TestContext) -> Handles:
        """Open them; each gives up a call that takes longer than the store may take to report an outage."""
        shared, keyed = context.can(Capability.SHARED), context.can(Capability.KEY)
        usual = [await context.open(*context.usual_keys, name=f"handle{n + 1}") for n in range(1 + shared)]
        clear = await context.open(name="keyless") if shared and keyed else None
        other = await context.open(context.other_key, name="other_key") if shared and keyed else None
        for each in (*usual, clear, other):
            if each is not None:
                each.limit = 1.5 * context.harness.time_limit
        return cls(usual, clear, other)

    @property
    def clear(self) -> RecordingBackend:
        """The handle without a key."""
        assert self._clear is not None
        return self._clear

    @property
    def other(self) -> RecordingBackend:
        """The handle with another key."""
        assert self._other is not None
        return self._other

    def all(self) -> list[RecordingBackend]:
        """Return every handle."""
        return [*self.usual, *(each for each in (self._clear, self._other) if each is not None)]


class Player:
    """One run. ``secret``: the text that each sealed secret begins with; ``watched``: read after each step, too.

    ``crowd``: ids of other sessions of the first identity.
    """

    def __init__(
        self, context: TestContext, handles: Handles, secret: str, *, watched: bool, crowd: frozenset[str] = frozenset()
    ) -> None:
        self.context, self.handles, self.secret = context, handles, secret
        self.watched, self.crowd = watched, crowd
        self.model = SequenceModel(context.now)
        self.steps: list[Step] = []

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

    def slot(self, step: Step) -> Slot:
        """Return the session of a step."""
        if step.slot not in self.model.slots:
            identity = self.context.identity(OWNERS[step.identity])
            self.model.slots[step.slot] = Slot((identity, self.context.session_id(f"s{step.slot}")))
        return self.model.slots[step.slot]

    # -- reads -----------------------------------------------------------------------------------------------------

    async def _watch(self, step: Step) -> None:
        reader = (step.handle + step.number) % len(self.handles.usual)
        if step.slot >= 0:
            await self.check(self.slot(step), reader)
        if step.number % LISTING_EVERY == 0:
            await self.check_listing(step.identity, reader)
            await self.check_ids(step.identity, reader)

    async def check_all(self, reader: int) -> None:
        """Compare what each read of a handle returns."""
        for slot in [*self.model.slots.values()]:
            await self.check(slot, reader)
        for identity in range(len(OWNERS)):
            await self.check_listing(identity, reader)
            await self.check_ids(identity, reader)
        if self.context.store_is_ours:
            await self.check_all_ids(reader)

    async def check(self, slot: Slot, reader: int) -> None:
        """Compare what ``get_session`` returns."""
        seen = await self._answer(self.handles.usual[reader].get_session(*slot.name), "get_session")
        try:
            self.compare(slot, seen, "get_session")
        except SequenceViolation as violation:
            if reader != slot.writer and slot.writer < len(self.handles.usual):
                by_writer = await self._answer(self.handles.usual[slot.writer].get_session(*slot.name), "get_session")
                if self.model.wrong(slot, by_writer) is None:
                    violation.clause = "CO-4"
            raise

    def compare(self, slot: Slot, seen: SessionData | None, method: str) -> None:
        """Compare a session that was read."""
        if wrong := self.model.wrong(slot, seen):
            symptom, found = wrong
            raise self._misread(symptom, slot, f"{method} returned {found}")

    async def check_listing(self, identity: int, reader: int) -> None:
        """Compare what ``get_identity_sessions_data`` returns."""
        owner = self.context.identity(OWNERS[identity])
        call = self.handles.usual[reader].get_identity_sessions_data(owner)
        seen: list[SessionData] = await self._answer(call, "get_identity_sessions_data")
        ids, slots = [each.session_id for each in seen], self.model.of(owner)
        await self._compare_ids(slots, ids, self._crowd_of(identity), "get_identity_sessions_data", reader)
        by_id = {each.session_id: each for each in seen}
        for slot in slots:
            self.compare(slot, by_id.get(slot.name[1]), "get_identity_sessions_data")

    async def check_ids(self, identity: int, reader: int) -> None:
        """Compare what ``get_identity_mcp_sessions`` returns."""
        owner = self.context.identity(OWNERS[identity])
        ids = await self._answer(
            self.handles.usual[reader].get_identity_mcp_sessions(owner), "get_identity_mcp_sessions"
        )
        crowd = self._crowd_of(identity)
        await self._compare_ids(self.model.of(owner), ids, crowd, "get_identity_mcp_sessions", reader)

    async def check_all_ids(self, reader: int) -> None:
        """Compare what ``get_all_session_ids`` returns of this run's sessions."""
        ids = await self._answer(self.handles.usual[reader].get_all_session_ids(), "get_all_session_ids")
        known = {slot.name[1] for slot in self.model.slots.values()}
        mine = [each for each in ids if each in known or each in self.crowd]
        await self._compare_ids([*self.model.slots.values()], mine, self.crowd, "get_all_session_ids", reader)

    def _crowd_of(self, identity: int) -> frozenset[str]:
        return self.crowd if identity == 0 else frozenset()

    async def _compare_ids(
        self, slots: list[Slot], seen: list[str], crowd: frozenset[str], method: str, reader: int
    ) -> None:
        clause, counts = LISTINGS[method], Counter(seen)
        for slot in slots:
            expected, session_id = self.model.expected(slot), slot.name[1]
            if slot.forgotten or (not expected.dead and not expected.live):
                continue
            if expected.dead and session_id in counts:
                raise self._misread(Symptom.SHOWN, slot, f"{method} returned {session_id!r}")
            if expected.live and session_id not in counts:
                await self.check(slot, reader)  # perhaps it is not only this read that does not find it
                what, last = f"{method} did not return {session_id!r}", sequence_verdict.last_change(self.steps)
                if last is not None and last.effect is Effect.PASSES_TIME:
                    raise self._misread(Symptom.MISSING, slot, what)
                raise self._violation(clause, "MISSING", what, self._should(slot))
        ids = {slot.name[1] for slot in slots}
        strange = [each for each in counts if each not in ids and each not in crowd]
        lost = crowd - set(counts)
        if len(seen) != len(counts) or strange or lost:
            what = f"{len(seen)} ids, {len(counts)} of them different"
            what += f", {len(strange)} of no session of this identity" if strange else ""
            what += f", and not {len(lost)} of the other live sessions" if lost else ""
            raise self._violation(clause, "LISTED", f"{method} returned {what}", "return each live session once")

    # -- steps -----------------------------------------------------------------------------------------------------

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
                await self._answer(handle.remove_session(*self.slot(step).name), "remove_session")
                self.model.removed(self.slot(step), Gone.REMOVED)
            case "cleanup":
                await self._answer(handle.cleanup_expired_sessions(), "cleanup_expired_sessions")
                await self._check_cleaned()
            case "update by another identity" | "remove by another identity" | "get by another identity":
                await self._by_another_identity(step, handle)
            case "clear":
                await self._answer(handle.clear_all(), "clear_all")
                for slot in self.model.slots.values():
                    self.model.removed(slot, Gone.CLEARED)
            case "short time" | "long time":
                await self.context.pass_time(operation.seconds or 0)
            case "disconnect and init":
                await self._reopen(step, handle)
            case "read with another key":
                await self._read_sealed(step, self.handles.other, "with another key")
            case "read without a key":
                await self._read_sealed(step, self.handles.clear, "without a key")
            case "cancelled update" | "cancelled create" | "cancelled get":
                await self._cancelled(step, handle)
            case "read in an outage" | "update in an outage":
                await self._in_an_outage(step, handle)
            case "create without an answer" | "update without an answer":
                await self._without_an_answer(step, handle)
            case _:
                await self._update(step, handle)

    async def _create(self, step: Step, handle: RecordingBackend) -> None:
        slot, session, ttl = self.slot(step), self._session(step), self._ttl(step.operation)
        expected = self.model.expected(slot)
        got = await outcome_of(handle.create_session(session, ttl))
        if isinstance(got, SessionExistsError):
            if expected.dead:
                clause = sequence_verdict.of_a_refused_create(self.model, slot, self.steps)
                raise self._violation(
                    clause, "REFUSED", f"create_session {told(got)}", "create it: no such session is live"
                )
            return
        if isinstance(got, Exception):
            raise self._unexpected("create_session", got)
        if expected.live:
            raise self._violation("LC-1", "ACCEPTED", "create_session took a session that is live",
                                  "raise SessionExistsError")  # fmt: skip
        slot.before = self.model.why_gone(slot)
        self.model.created(slot, session, ttl)
        self._written(step, slot, Sealed.NO if handle.name == "keyless" else Sealed.YES)

    async def _update(self, step: Step, handle: RecordingBackend) -> None:
        slot, changes, ttl = self.slot(step), self._changes(step), self._ttl(step.operation)
        expected = self.model.expected(slot)
        got = await outcome_of(handle.update_session(*slot.name, changes, ttl))
        keyless = handle.name == "keyless"
        if step.operation.name == "refused update":
            if not isinstance(got, InvalidSessionError):
                what = f"update_session of {next(iter(changes))} {told(got)}"
                raise self._violation("LC-6", "ACCEPTED", what, "raise InvalidSessionError")
            return
        if isinstance(got, SessionNotFoundError):
            if expected.live:
                raise self._misread(Symptom.MISSING, slot, f"update_session {told(got)}", self.steps[:-1])
            return
        if isinstance(got, DecryptionError) and keyless and slot.sealed is not Sealed.NO:
            return  # a store that reads before it writes may refuse
        if isinstance(got, Exception):
            raise self._unexpected("update_session", got)
        if expected.dead:
            clause = sequence_verdict.of_an_accepted_update(self.model, slot)
            raise self._violation(clause, "ACCEPTED", "update_session took a session that is not live",
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
            seen = await self._answer(handle.get_session(stranger, session_id), "get_session")
            if seen is not None:
                raise self._violation("ID-5", "MIXED_UP", "get_session by another identity returned it", "return None")
        elif step.operation.name.startswith("remove"):
            await self._answer(handle.remove_session(stranger, session_id), "remove_session")
        else:
            got = await outcome_of(handle.update_session(stranger, session_id, self._changes(step)))
            if not isinstance(got, SessionNotFoundError):
                what = f"update_session by another identity {told(got)}"
                raise self._violation("LC-5", "ACCEPTED", what, "raise SessionNotFoundError")

    async def _check_cleaned(self) -> None:
        """Compare what is stored with what cleanup leaves: no row of an expired session."""
        if not self.context.can(Capability.AT_REST):
            return
        for slot in self.model.slots.values():
            expected = self.model.expected(slot)
            if not (expected.dead and expected.expired) or slot.forgotten:
                continue
            try:
                await self.context.harness.stored_fields(*slot.name)
            except LookupError:
                continue
            what = f"after cleanup_expired_sessions the row of {slot.name[1]!r}, which has expired, is still stored"
            raise self._violation("EX-5", "STORED", what, "be removed")

    async def _reopen(self, step: Step, handle: RecordingBackend) -> None:
        times = 1 + (step.number % 3 == 0)
        for _ in range(times):
            await self._answer(handle.disconnect(), "disconnect")
        for _ in range(times):
            await self._answer(handle.init(), "init")
        if not self.context.can(Capability.DURABLE):
            for slot in self.model.slots.values():
                slot.forgotten = True

    async def _read_sealed(self, step: Step, handle: RecordingBackend, how: str) -> None:
        slot = self.slot(step)
        got = await outcome_of(handle.get_session(*slot.name))
        if isinstance(got, DecryptionError) and slot.sealed is not Sealed.NO:
            return
        if isinstance(got, Exception):
            raise self._unexpected(f"get_session {how}", got)
        if got is not None and slot.sealed is Sealed.YES and self.model.expected(slot).live:
            raise self._violation(
                "EN-5", "OPENED", f"get_session {how} returned a sealed session", "raise DecryptionError"
            )
        self.compare(slot, got, f"get_session {how}")

    async def _cancelled(self, step: Step, handle: RecordingBackend) -> None:
        slot = self.slot(step)
        at = 1 + step.number % 6
        call, after = self._uncertain_call(step, handle)
        ending = await interrupted(
            self.context, f"{step.operation.name} was cancelled at suspension point {at}", call, at
        )
        self._ended(slot, after, done=ending.returned)
        if isinstance(ending.result, Exception):
            raise self._unexpected(step.operation.name, ending.result)

    async def _in_an_outage(self, step: Step, handle: RecordingBackend) -> None:
        slot = self.slot(step)
        call, after = self._uncertain_call(step, handle)
        self.context.history.note("… the store can't be reached …")
        async with self.context.harness.outage():
            got = await in_time(self.context, call)
        if not isinstance(got, StorageUnavailableError):
            raise self._violation(
                "FA-1", "OUTAGE", f"{step.operation.name} {told(got)}", "raise StorageUnavailableError"
            )
        self._ended(slot, after, done=False)
        await self._back(step, handle)

    async def _without_an_answer(self, step: Step, handle: RecordingBackend) -> None:
        slot = self.slot(step)
        call, after = self._uncertain_call(step, handle)
        self.context.history.note("… the answer gets lost …")
        async with self.context.harness.lost_answer():
            got = await in_time(self.context, call)
        if isinstance(got, Exception) and not isinstance(got, StorageUnavailableError):
            raise self._violation("FA-3", "LOST", f"{step.operation.name} {told(got)}", "raise StorageUnavailableError")
        self._ended(slot, after, done=got is None)
        await self._back(step, handle)

    async def _back(self, step: Step, handle: RecordingBackend) -> None:
        """Wait until the handle answers again: about the other identity, so that a late answer is seen."""
        others = [each for each in self.model.slots.values() if each.name[0] != self.slot(step).name[0]]
        slot = others[-1] if others else self.slot(step)
        end = time.monotonic() + self.context.harness.time_limit
        while isinstance(got := await in_time(self.context, lambda: handle.get_session(*slot.name)), NO_ANSWER):
            if time.monotonic() > end:
                raise self._violation("FA-2", "AWAY", f"get_session {told(got)}", "answer: the store is back")
            await asyncio.sleep(PAUSE)
        if isinstance(got, Exception):
            raise self._unexpected("get_session", got)
        self.compare(slot, got, "the first get_session")

    # -- parts -----------------------------------------------------------------------------------------------------

    def _uncertain_call(self, step: Step, handle: RecordingBackend) -> tuple[Callable[[], Awaitable[Any]], list[Any]]:
        """Return a call that will not be answered, and what the slot may hold after it."""
        slot, ttl = self.slot(step), self._ttl(step.operation)
        if "create" in step.operation.name:
            session = self._session(step)
            after = SequenceModel(self.context.now)
            new = Slot(slot.name)
            after.created(new, session, ttl)
            return lambda: handle.create_session(session, ttl), list(new.possible)
        if "update" in step.operation.name:
            changes = self._changes(step)
            after_update = self.model.after_update(slot, changes, ttl)
            return lambda: handle.update_session(*slot.name, changes, ttl), after_update
        return lambda: handle.get_session(*slot.name), []

    def _ended(self, slot: Slot, after: list[Any], *, done: bool) -> None:
        if after:
            if done:
                slot.possible = after
            else:
                self.model.uncertain(slot, after)
            slot.last = self.steps[-1].operation
            if slot.sealed is Sealed.NO:
                slot.sealed = Sealed.PERHAPS

    def _written(self, step: Step, slot: Slot, sealed: Sealed) -> None:
        slot.last, slot.writer, slot.sealed = step.operation, step.handle, sealed

    def _session(self, step: Step) -> SessionData:
        identity, session_id = self.slot(step).name
        fields = {
            **FILLED,
            **_secrets(f"clear{step.number}" if step.operation.name == "create in clear" else self._secret(step)),
            "server_name": f"created at step {step.number}",
            "server_url": f"https://mcp.example/{step.number}",
            "created_at": FILLED["created_at"] + step.number,
        }
        if step.number % 3 == 0:
            fields |= NOTHING
        return SessionData(identity=identity, session_id=session_id, **fields)

    def _changes(self, step: Step) -> dict[str, Any]:
        number = step.number
        match step.operation.name:
            case "renewal" | "renewal with ttl":
                return {}
            case "refused update":
                return {"server_name": f"refused at step {number}"} | REFUSED[number % len(REFUSED)]
            case "update of secrets" | "update without an answer":
                return _secrets(self._secret(step), brief=number % 2 == 0)
            case "revocation":
                return NOTHING
            case "update of a missing session" if number % 3:
                return {}
        return {"server_name": f"updated at step {number}", "active": number % 2 == 0}

    def _secret(self, step: Step) -> str:
        return f"{self.secret}{step.number}"

    def _ttl(self, operation: Operation) -> float | None:
        named = "ttl" in operation.name or operation.effect is Effect.UNCERTAIN
        return operation.seconds if named else None

    async def _answer(self, call: Awaitable[Any], method: str) -> Any:
        got = await outcome_of(call)
        if isinstance(got, Exception):
            raise self._unexpected(method, got)
        return got

    def _unexpected(self, method: str, error: Exception) -> SequenceViolation:
        step = self.steps[-1]
        clause = sequence_verdict.of_an_error(step.operation, self.steps)
        violation = self._violation(clause, f"RAISED {type(error).__name__}", f"{method} {told(error)}", "answer")
        violation.__cause__ = error
        return violation

    def _violation(self, clause: str, kind: str, seen: str, should: str) -> SequenceViolation:
        before = ", ".join(step.operation.name for step in self.steps[-3:])
        return SequenceViolation(clause, kind, f"after {before}: {seen}", should=should)

    def _misread(
        self, symptom: Symptom, slot: Slot, seen: str, steps: Sequence[Step] | None = None
    ) -> SequenceViolation:
        clause, general = sequence_verdict.of_a_read(symptom, self.model, slot, self.steps if steps is None else steps)
        violation = self._violation(clause, symptom.name, seen, self._should(slot))
        violation.general = general
        return violation

    def _should(self, slot: Slot) -> str:
        if self.model.expected(slot).sessions:
            return "return what the calls before it stored"
        return f"return nothing: it {self.model.why_gone(slot).name.lower()}"


def _secrets(text: str, *, brief: bool = False) -> dict[str, Any]:
    more = {} if brief else {"refresh_token": f"{text}r", "token_type": "Bearer"}
    return {
        "tokens": {"access_token": text, **more},
        "headers": {"Authorization": f"Bearer {text}h", **({} if brief else {"X-Key": f"{text}k"})},
        "code_verifier": f"{text}v",
        "client_information": {"client_id": "app", "client_secret": f"{text}s"},
    }
