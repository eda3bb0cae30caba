"""MX · mixed plain and encrypted: a key that is set later, or changed, loses no session."""

from __future__ import annotations

import logging
import re
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import flaw
from pytest_mcp_storage.canary.log_capture import LogCapture
from pytest_mcp_storage.engine.at_rest import row_of
from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import assert_shows
from pytest_mcp_storage.oracle.generators import CREDENTIALS, changes, sessions
from pytest_mcp_storage.oracle.mixed_key_machine import SECRETS, MixedKeyMachine, RotationMachine
from pytest_mcp_storage.spec.capabilities import Capability
from reference_backends import SessionData

ABOUT_THE_KEY = re.compile(
    r"encrypt|cipher|\b(no|without (a|any)) key\b|in (the )?clear\b|\bin plain|plain ?text|unprotected|insecure",
    re.IGNORECASE,
)
"""Not every mention of a key: stores also warn of database keys, and of what they cleared."""

guarded = sessions("alice", **CREDENTIALS)
"""Sessions of one identity, with tokens and headers."""

replacements = st.fixed_dictionaries({}, optional=CREDENTIALS)
"""New values of tokens, of headers, of both, or of neither."""

pairs = st.lists(guarded, min_size=2, max_size=2, unique_by=lambda session: session.session_id)


@clause_test("MX-1", needs=[Capability.SHARED], at_most=15, pair=pairs)
async def test_clear_sessions_are_read_beside_sealed_ones(context: TestContext, pair: list[SessionData]) -> None:
    clear, sealed = pair
    store = await context.holder(context.key)
    await store.create_session(sealed)
    await (await context.holder()).create_session(clear)
    await _assert_reads(context, store, clear, sealed)


@clause_test("MX-1", needs=[Capability.DURABLE], at_most=10, pair=pairs)
async def test_clear_sessions_are_read_after_a_new_open_with_a_key(
    context: TestContext, pair: list[SessionData]
) -> None:
    clear, sealed = pair
    before = await context.open(name="before")
    await before.create_session(clear)
    await before.disconnect()
    after = await context.open(context.key, name="after")
    await after.create_session(sealed)
    await _assert_reads(context, after, clear, sealed)
    await after.disconnect()


@clause_test("MX-1", needs=[Capability.AT_REST], at_most=15, pair=pairs)
async def test_what_lies_in_clear_is_read(context: TestContext, pair: list[SessionData]) -> None:
    clear, sealed = pair
    await (await context.holder(context.key)).create_session(sealed)
    await _lay_in_clear(context, clear)
    await _assert_reads(context, await context.holder(context.key), clear, sealed)


async def _assert_reads(context: TestContext, store: RecordingBackend, *expected: SessionData) -> None:
    await assert_shows(context, store, expected, when="with a key set", should="show clear and sealed sessions")


@clause_test("MX-2", session=guarded, named=replacements.filter(bool), more=changes())
async def test_what_is_written_under_a_key_is_sealed(
    context: TestContext, session: SessionData, named: dict[str, Any], more: dict[str, Any]
) -> None:
    await _lay_in_clear(context, session)
    store = await context.holder(context.key)
    for ttl in (None, 9_000):
        await store.update_session(session.identity, session.session_id, {**more, **named}, ttl)
        await _assert_sealed(context, session, named, "an update")
        created = session.model_copy(update={"session_id": f"new{session.session_id}"})
        await store.create_session(created, ttl)
        await _assert_sealed(context, created, {field: getattr(created, field) for field in CREDENTIALS}, "a create")
        await store.remove_session(created.identity, created.session_id)


async def _assert_sealed(context: TestContext, session: SessionData, written: dict[str, Any], by: str) -> None:
    stored = await row_of(context, session)
    for field, value in written.items():
        if found := flaw(stored[field], value, context.key):
            raise Violation(f"{field} that {by} wrote under a key are stored as {found}", should="be sealed")


@clause_test("MX-3")
def test_any_mixture_of_clear_and_sealed_writes_answers_as_the_model_does(
    context: TestContext,
) -> type[MixedKeyMachine]:
    if not context.one_store:
        context.leave_out("plain and encrypted writes of one session (needs SHARED or DURABLE)")
    return MixedKeyMachine


@clause_test("MX-4", at_most=2, session=sessions())
async def test_each_handle_without_a_key_warns_once(context: TestContext, session: SessionData) -> None:
    canaries = Canaries()
    session = session.model_copy(update={**canaries.credentials("a session"), **canaries.client_secrets("a session")})
    for number in ("first", "second"):
        with LogCapture() as captured:
            store = await context.open(name=number)
            await store.init()
            await store.create_session(session.model_copy(update={"session_id": f"{number}{session.session_id}"}))
            await store.init()
            await store.disconnect()
            await store.init()
            await store.disconnect()
        said = [record.getMessage() for record in captured.records if record.levelno == logging.WARNING]
        said += [str(warning.message) for warning in captured.warnings]
        about = [text for text in said if ABOUT_THE_KEY.search(text)]
        if len(about) != 1:
            raise Violation(f"the {number} handle without a key warned {len(about)} times: {about}", should="warn once")
        if found := canaries.found_in(about[0].encode()):
            raise Violation(f"the warning shows {found}", should="name no secret")


@clause_test("MX-5", at_most=25, session=guarded, named=changes())
async def test_an_update_seals_what_still_lies_in_clear(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    named = {field: value for field, value in named.items() if field not in CREDENTIALS}
    await _lay_in_clear(context, session)
    store = await context.holder(context.key)
    await store.update_session(session.identity, session.session_id, named)
    stored = await row_of(context, session)
    for field in CREDENTIALS:
        if found := flaw(stored[field], getattr(session, field), context.key):
            raise Violation(f"{field} stored in clear are after an update {found}", should="be sealed")


async def _lay_in_clear(context: TestContext, session: SessionData) -> None:
    """Write the session by a handle without a key; plant it if no other handle would find it."""
    if context.one_store:
        await (await context.holder()).create_session(session)
        return
    await (await context.holder(context.key)).create_session(session)
    for field in CREDENTIALS:
        await context.plant(session, field, getattr(session, field))


@clause_test("MX-6")
def test_keys_are_rotated_without_losing_a_session(context: TestContext) -> type[RotationMachine]:
    if not context.one_store:
        context.leave_out("keys that come and go (needs SHARED or DURABLE)")
    return RotationMachine


@clause_test("MX-6", at_most=8, pair=pairs)
async def test_a_session_outlives_its_key(context: TestContext, pair: list[SessionData]) -> None:
    if not context.one_store:
        return context.leave_out("sessions of a handle with the older key (needs SHARED or DURABLE)")
    old, new = pair
    await (await context.holder(context.key)).create_session(old)
    store = await context.holder(context.other_key, "3c" * 32, context.key)
    await store.create_session(new)
    await _assert_reads(context, store, old, new)
    await store.update_session(old.identity, old.session_id, {field: getattr(old, field) for field in SECRETS})
    await _assert_reads(context, await context.holder(context.other_key), old, new)
    return None


@clause_test(
    "MX-6",
    needs=[Capability.AT_REST],
    at_most=10,
    session=guarded,
    named=replacements,
)
async def test_the_first_key_seals(context: TestContext, session: SessionData, named: dict[str, Any]) -> None:
    store = await context.holder(context.other_key, context.key)
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, named)
    stored = await row_of(context, session)
    for field, value in {**{field: getattr(session, field) for field in CREDENTIALS}, **named}.items():
        if found := flaw(stored[field], value, context.other_key):
            raise Violation(f"under two keys {field} are stored as {found}", should="be sealed with the first")
