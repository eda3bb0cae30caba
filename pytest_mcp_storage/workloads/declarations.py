"""Whether a harness can do what it declares, and whether it can do what it does not declare (HA-1)."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from typing import Any

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.faults.worker_client import Step, Worker, WorkerError
from pytest_mcp_storage.oracle.assertions import shown_by
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
from reference_backends import ConfigurationError, SessionData, StorageBackend

_numbers = itertools.count(1)


def fresh(context: TestContext, **fields: Any) -> SessionData:
    """Return a plain session with a unique name."""
    number = next(_numbers)
    plain = {
        "identity": context.identity("harness"),
        "session_id": context.session_id(f"h{number}"),
        "server_url": "https://mcp.example",
        "transport_type": "sse",
        "callback_url": "https://app.example",
        "created_at": 0,
    }
    return SessionData.model_validate(plain | fields)


def with_canaries(context: TestContext) -> tuple[SessionData, dict[str, Canaries]]:
    """Return a session with secrets in tokens and headers, and the search for those of each field."""
    canaries = {field: Canaries() for field in ("tokens", "headers")}
    secrets = {field: canary.credentials("a session in clear")[field] for field, canary in canaries.items()}
    return fresh(context, **secrets), canaries


async def is_there(store: StorageBackend, session: SessionData) -> bool:
    """Say whether the session exists, unchanged."""
    seen = await store.get_session(session.identity, session.session_id)
    return not difference(seen, session)


async def assert_finds(store: StorageBackend, session: SessionData, *, seen: str, should: str) -> None:
    """Assert that the session exists, unchanged. Raise :class:`Violation`."""
    got = await store.get_session(session.identity, session.session_id)
    if found := difference(got, session):
        raise Violation(f"{seen} get_session returned {found}", should=should)


async def with_default_ttl(context: TestContext, seconds: float) -> RecordingBackend | None:
    """Return a handle with another default TTL; ``None``, with a note for the report, if the harness declines."""
    try:
        return await context.open(default_ttl=seconds)
    except NotMeasurable as reason:
        context.leave_out(f"another default TTL: {reason}")
        return None


async def assert_default_ttl_is_used(store: RecordingBackend, session: SessionData, seconds: float) -> None:
    """Raise :class:`Violation` if the session is still there after the default TTL that its handle was opened with."""
    seen = await shown_by(store, session)
    shown = [method for method, shows in seen.items() if shows]
    if not shown:
        return
    returned = f"after {seconds:.12g} s {' and '.join(shown)} returned the session"
    if len(shown) < len(seen):  # the store knows the TTL, and some reads do not check it
        raise Violation(f"default_ttl={seconds:.12g}: {returned}, other reads did not", should="show it in no read")
    raise Violation(
        f"open() was given default_ttl={seconds:.12g} and the store ignored it: {returned}",
        should="end it by then. If the store has a fixed default, don't declare DEFAULT_TTL",
    )


async def work_of_a_process(context: TestContext, harness: BackendHarness, session: SessionData) -> Any:
    """Return what ``get_session`` returned or raised in a separate process, or why that process could not run."""
    now = context.now() if context.can(Capability.CLOCK) else None
    plan = [Step("get_session", (session.identity, session.session_id))]
    try:
        async with Worker(harness, plan, now=now) as worker:
            worker.go()
            results = [call.result async for call in worker]
    except WorkerError as error:
        return error
    return results[0] if results else WorkerError("the process reported no call")


async def can_do(context: TestContext, capability: Capability) -> bool:
    """Say whether the store can do it although its harness does not declare it. What is written for that is removed."""
    if capability is Capability.SHARED and context.can(Capability.DURABLE) and not context.store_is_ours:
        return False  # two handles on a store that is made for one might damage others' data in it
    looks = {
        Capability.DURABLE: _outlives_its_handle,
        Capability.SHARED: _is_shared,
        Capability.CLOCK: _takes_a_clock,
        Capability.KEY: _takes_a_key,
        Capability.DEFAULT_TTL: _takes_a_default_ttl,
    }
    async with context.another_store() as harness:
        with suppress(Exception):  # NotMeasurable too: nothing promises that it can be measured
            return await looks[capability](harness, fresh(context))
    return False


async def _outlives_its_handle(harness: BackendHarness, session: SessionData) -> bool:
    first = await harness.open()
    await first.create_session(session)
    await first.disconnect()
    return await _seen_by(await harness.open(), session)


async def _is_shared(harness: BackendHarness, session: SessionData) -> bool:
    first = await harness.open()
    try:
        await first.create_session(session)
        return await _seen_by(await harness.open(), session)
    finally:
        await _forget(first, session)


async def _takes_a_clock(harness: BackendHarness, session: SessionData) -> bool:
    moment = time.time()
    store = await harness.open(clock=lambda: moment)
    try:
        await store.create_session(session, ttl=60)
        before = await is_there(store, session)
        moment += 120
        return before and await store.get_session(session.identity, session.session_id) is None
    finally:
        await _forget(store, session)


async def _takes_a_default_ttl(harness: BackendHarness, session: SessionData) -> bool:
    if Capability.CLOCK not in harness.capabilities:
        return False  # a note is not worth the seconds
    moment = time.time()
    store = await harness.open(clock=lambda: moment, default_ttl=60)
    try:
        await store.create_session(session)
        before = await is_there(store, session)
        moment += 120
        return before and await store.get_session(session.identity, session.session_id) is None
    finally:
        await _forget(store, session)


async def _takes_a_key(harness: BackendHarness, session: SessionData) -> bool:
    try:
        store = await harness.open(encryption_key="no key at all")
    except ConfigurationError:
        return True
    await _forget(store, session)
    return False


async def _seen_by(store: StorageBackend, session: SessionData) -> bool:
    try:
        return await is_there(store, session)
    finally:
        await _forget(store, session)


async def _forget(store: StorageBackend, session: SessionData) -> None:
    with suppress(Exception):
        await store.remove_session(session.identity, session.session_id)
    with suppress(Exception):
        await store.disconnect()
