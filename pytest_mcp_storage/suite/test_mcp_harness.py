"""HA · the harness itself: each declaration is true. If one is not, the clauses that use it prove nothing."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from uuid import uuid4

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.harness_checks import implemented
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.faults.damage import main_file
from pytest_mcp_storage.oracle.assertions import assert_gone, assert_live, assert_shows
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.spec.outcome import UNDECLARED
from pytest_mcp_storage.workloads.declarations import (
    assert_default_ttl_is_used,
    assert_finds,
    can_do,
    fresh,
    is_there,
    with_canaries,
    with_default_ttl,
    work_of_a_process,
)
from pytest_mcp_storage.workloads.outages import back, in_time, losses
from reference_backends import StorageError

NATIVE_TTL = 0.05
"""Seconds; a store may round them up to one."""
ONE_SECOND_LATER = 1.2
ATTEMPTS = 30
NO_ENVELOPE = f"enc:1:{'0' * 24}:{'0' * 32}:00"
"""Text that no key opens."""
PROBED = (Capability.DURABLE, Capability.SHARED, Capability.CLOCK, Capability.KEY, Capability.DEFAULT_TTL)
"""What can be looked for in a store that does not declare it, and does no harm."""


@clause_test("HA-1", needs=[Capability.KEY])
async def test_an_encryption_key_makes_a_difference(context: TestContext) -> None:
    session = fresh(context, tokens={"access_token": uuid4().hex})
    if not context.one_store:
        got = await outcome_of(context.open("no key at all"))
        if not isinstance(got, Exception):
            raise Violation("open() accepted a text that is not a key", should="let the backend refuse it")
        return
    first = await context.open(context.key)
    await first.create_session(session)
    if not context.can(Capability.SHARED):
        await first.disconnect()
    second = await context.open(context.other_key)
    got = await outcome_of(second.get_session(session.identity, session.session_id))
    if not isinstance(got, Exception) and not difference(got, session):
        raise Violation("a handle with another key read the tokens", should="pass the key to the backend")


@clause_test("HA-1", needs=[Capability.DURABLE])
async def test_data_outlives_disconnect(context: TestContext) -> None:
    session = fresh(context)
    first = await context.open()
    await first.create_session(session)
    await first.disconnect()
    await assert_finds(await context.open(), session, seen="after disconnect and a new open", should="find it: DURABLE")


@clause_test("HA-1", needs=[Capability.SHARED])
async def test_two_open_handles_are_on_one_store(context: TestContext) -> None:
    session = fresh(context)
    first, second = await context.open(), await context.open()
    if first.backend is second.backend:
        raise Violation("open() returned the same handle twice", should="return another, on the same store: SHARED")
    await first.create_session(session)
    await assert_finds(second, session, seen="by a second handle", should="find it: SHARED")
    await first.disconnect()
    await assert_finds(second, session, seen="after the first handle was closed", should="find it: each is a handle")


@clause_test("HA-1", needs=[Capability.CLOCK])
async def test_the_clock_moves_expiry(context: TestContext) -> None:
    store = await context.open()
    await context.pass_time(7200)  # so that no other clock shows the same time
    family = [fresh(context), fresh(context)]
    for session in family:
        await store.create_session(session, 60)
    await store.update_session(session.identity, session.session_id, {}, 60)
    for session in family:
        await assert_live(context, store, session, until=context.now() + 60)
    await context.pass_time(62)
    for session in family:
        await assert_gone(store, session, why="62 s have passed by the clock that open() was given: CLOCK")


@clause_test("HA-1", needs=[Capability.CLOCK])
async def test_no_other_clock_ends_a_session(context: TestContext) -> None:
    if context.tier.faults < 2:
        context.leave_out("whether a native timer ends sessions early: smoke waits for nothing")
        return
    session = fresh(context)
    store = await context.open()
    await store.create_session(session, ttl=NATIVE_TTL)
    context.history.note(f"… {ONE_SECOND_LATER:.12g} s pass, but not by the clock that open() was given …")
    await asyncio.sleep(ONE_SECOND_LATER)
    when = "while the clock that open() was given did not move"
    await assert_shows(context, store, [session], when=when, should="stay: no native timer may end it earlier")


@clause_test("HA-1", waits=True, needs=[Capability.DEFAULT_TTL])
async def test_a_default_ttl_is_used(context: TestContext) -> None:
    session, seconds = fresh(context), context.ttl(60)
    if (store := await with_default_ttl(context, seconds)) is None:
        return
    await store.create_session(session)
    await context.pass_time(seconds + ROUNDING)
    await assert_default_ttl_is_used(store, session, seconds)


@clause_test("HA-1", needs=[Capability.AT_REST])
async def test_what_is_stored_can_be_seen(context: TestContext) -> None:
    store = await context.open()
    before = await context.harness.stored_bytes()
    planted = [with_canaries(context), with_canaries(context)]
    for session, _ in planted:
        await store.create_session(session)
    after = await context.harness.stored_bytes()
    if before == after:
        raise Violation("stored_bytes() is the same after a write", should="show everything that is stored")
    for session, canaries in planted:
        fields = await context.harness.stored_fields(session.identity, session.session_id)
        for field, canary in canaries.items():
            if fields.get(field) is None:
                raise Violation(
                    f"stored_fields() returned {sorted(fields)} and no {field}", should="show tokens, headers"
                )
            if fields[field] == getattr(session, field) and not canary.found_in(after):
                raise Violation(
                    f"stored_bytes() does not show {field} that are stored in clear", should="show everything"
                )


@clause_test("HA-1", needs=[Capability.AT_REST])
async def test_what_is_shown_follows_the_store(context: TestContext) -> None:
    session = fresh(context, tokens={"access_token": "old"}, headers={"X-Key": "old"})
    name = session.identity, session.session_id
    store = await context.open()
    await store.create_session(session)
    old = dict(await context.harness.stored_fields(*name))
    await store.update_session(*name, {"tokens": {"access_token": "new"}})
    if (await context.harness.stored_fields(*name)).get("tokens") == old.get("tokens"):
        raise Violation("stored_fields() shows the same tokens after an update", should="show what is stored now")
    await store.remove_session(*name)
    got = await outcome_of(context.harness.stored_fields(*name))
    if not isinstance(got, LookupError):
        raise Violation(f"stored_fields() of a removed session {describe(got)}", should="raise LookupError")


@clause_test("HA-1", needs=[Capability.AT_REST])
async def test_what_is_stored_can_be_replaced(context: TestContext) -> None:
    session = fresh(context, tokens={"access_token": "own"}, headers={"X-Key": "own"})
    name = session.identity, session.session_id
    store = await context.open()
    await store.create_session(session)
    if context.can(Capability.DURABLE):
        await store.disconnect()
    objects = {"tokens": {"access_token": "planted"}, "headers": {"X-Key": "planted"}}
    for field, value in [*((field, NO_ENVELOPE) for field in objects), *objects.items()]:
        await context.harness.replace_stored_field(*name, field, value)
        seen = (await context.harness.stored_fields(*name)).get(field)
        if (seen.decode(errors="replace") if isinstance(seen, bytes) else seen) != value:
            raise Violation(
                f"after replace_stored_field() stored_fields() shows {field} = {seen!r}", should="be planted"
            )
    reader = await context.open()
    if context.one_store:
        wanted = session.model_copy(update=objects)
        await assert_finds(reader, wanted, seen="after replace_stored_field()", should="find what was planted")


@clause_test("HA-1", needs=[Capability.OUTAGE])
async def test_nothing_is_answered_in_an_outage(context: TestContext) -> None:
    session, new = fresh(context), fresh(context)
    name = session.identity, session.session_id
    store = await context.open()
    await store.create_session(session)
    async with context.harness.outage():
        got = await in_time(context, lambda: store.get_session(*name))
        ids = await in_time(context, lambda: store.get_identity_mcp_sessions(session.identity))
        await in_time(context, lambda: store.create_session(new))
        await in_time(context, lambda: store.update_session(*name, {"server_name": "changed"}))
        await in_time(context, lambda: store.remove_session(*name))
    if not isinstance(got, Exception) and not difference(got, session):
        raise Violation("inside outage() get_session returned the session", should="not reach the store")
    if not isinstance(ids, Exception) and session.session_id in ids:
        raise Violation("inside outage() the listing showed the session", should="not reach the store")
    await back(context, store, session)
    if await is_there(store, new):
        raise Violation("what was created inside outage() is there", should="not reach the store")
    await assert_finds(store, session, seen="after outage()", should="find it: outage() only cuts the store off")


@clause_test("HA-1", needs=[Capability.FAIL_STEP])
async def test_one_request_fails_and_no_other(context: TestContext) -> None:
    kept = fresh(context)
    store = await context.open()
    await store.create_session(kept)
    async with context.harness.fail_request(1, "refused"):
        got = await in_time(context, lambda: store.remove_session(kept.identity, kept.session_id))
        await back(context, store, kept)
    if not isinstance(got, Exception) and not await is_there(store, kept):
        raise Violation("inside fail_request(1, 'refused') remove_session removed the session", should="fail once")
    if isinstance(got, Exception):
        await assert_finds(store, kept, seen="after a refused removal", should="find it: the request does not arrive")


@clause_test("HA-1", needs=[Capability.LOST_ANSWER])
async def test_requests_arrive_and_answers_do_not(context: TestContext) -> None:
    kept = fresh(context)
    store = await context.open()
    await store.create_session(kept)
    async with context.harness.lost_answer():
        got = await in_time(context, lambda: store.get_session(kept.identity, kept.session_id))
    if not isinstance(got, Exception) and not difference(got, kept):
        raise Violation("inside lost_answer() get_session returned the session", should="lose the answer")
    await back(context, store, kept)
    for turn in losses(context, ATTEMPTS):  # the first of several requests may arrive alone
        new = fresh(context)
        got = await turn.ask(store, kept, "create_session", new)
        if isinstance(got, Exception) and await is_there(store, new):
            return
        if not await is_there(store, new):
            await outcome_of(store.create_session(new))
        got = await turn.ask(store, kept, "remove_session", new.identity, new.session_id)
        if isinstance(got, Exception) and not await is_there(store, new):
            return
    raise Violation(
        f"inside lost_answer() none of {ATTEMPTS} creates and removals without an answer was done",
        should="let requests arrive and lose the answers alone; what loses both is an outage()",
    )


@clause_test("HA-1", needs=[Capability.SETUP])
async def test_an_unprepared_store_has_no_table(context: TestContext) -> None:
    session = fresh(context)
    store = await context.open()
    await store.create_session(session)
    await store.disconnect()
    async with context.harness.unprepared("missing"):
        got = await outcome_of(context.open())
        if not isinstance(got, Exception) and await is_there(got, session):
            raise Violation("inside unprepared('missing') the session is there", should="take the table away")
    async with context.harness.unprepared("old"):
        await outcome_of(context.open())
    seen = "after unprepared()"
    await assert_finds(await context.open(), session, seen=seen, should="find it: the table must be restored")


@clause_test("HA-1", needs=[Capability.FILES])
async def test_the_files_are_those_of_the_store(context: TestContext) -> None:
    async with context.another_store() as harness:
        store = await context.open(harness=harness)
        await store.create_session(fresh(context))
        await store.disconnect()
        if not (files := list(harness.files())) or not files[0].is_file():
            raise Violation(
                "after a write files() names no file that is there", should="name the store's, the main first"
            )
        before = main_file(files).read_bytes()
        store = await context.open(harness=harness)
        await store.create_session(fresh(context))
        await store.disconnect()
        if main_file(list(harness.files())).read_bytes() == before:
            raise Violation("the first of files() is the same after a write", should="be the file with the sessions")


@clause_test("HA-1", needs=[Capability.CRASH])
async def test_another_process_finds_the_store(context: TestContext) -> None:
    kind = type(context.harness)
    there: object = import_module(kind.__module__)
    for part in kind.__qualname__.split("."):
        there = getattr(there, part, None)
    if there is not kind:
        raise Violation(f"{kind.__module__}:{kind.__qualname__} is not the harness class", should="be importable")
    session = fresh(context)
    async with context.another_store() as harness:
        store = await context.open(harness=harness)
        await store.create_session(session)
        await store.disconnect()
        attached: BackendHarness = kind.attach(json.loads(json.dumps(dict(harness.locator()))))
        async with attached:
            again = await context.open(harness=attached)
            await assert_finds(again, session, seen="by attach()", should="find the store that locator() names")
            await again.disconnect()
        again = await context.open(harness=harness)
        await assert_finds(again, session, seen="after the attached harness was left", should="destroy nothing")
        await again.disconnect()
        got = await work_of_a_process(context, harness, session)
        if isinstance(got, Exception) or difference(got, session):
            raise Violation(f"in another process get_session {describe(got)}", should="find the store: CRASH")


@clause_test("HA-1", needs=[Capability.ROW_SECURITY])
async def test_users_are_signed_in(context: TestContext) -> None:
    service = await context.open(real_time=True)
    alice, bob = str(uuid4()), str(uuid4())
    alices, bobs = fresh(context, identity=alice), fresh(context, identity=bob)
    for session in (alices, bobs):
        await service.create_session(session)
    reads_by_user = []
    for user in (alice, bob, None):
        store = await outcome_of(context.open_as(user))
        if isinstance(store, Exception):
            reads_by_user.append([False, False])
            continue
        seen = [await outcome_of(store.get_session(each.identity, each.session_id)) for each in (alices, bobs)]
        reads_by_user.append([not isinstance(each, Exception) and each is not None for each in seen])
    if not reads_by_user[0][0] or not reads_by_user[1][1]:
        raise Violation("open_as(user) does not see the user's own session", should="sign that user in")
    if all(all(seen) for seen in reads_by_user):
        raise Violation("open_as() sees everybody's sessions for every user", should="sign that user in, and no other")
    row = fresh(context, identity=alice)
    got = await outcome_of(context.harness.write_row_as(alice, row, alice))
    if isinstance(got, Exception) and not isinstance(got, StorageError):
        raise got
    if not await is_there(service, row):
        raise Violation(f"write_row_as() of a user's own row {describe(got)}, and it is not there", should="write it")


@clause_test("HA-1")
async def test_what_can_be_done_is_declared(context: TestContext) -> None:
    for capability in PROBED:
        if not context.can(capability) and await can_do(context, capability):
            context.notes.append(f"{UNDECLARED}{capability.name}")
    context.notes += [
        f"{UNDECLARED}{each.name}" for each in implemented(type(context.harness)) if not context.can(each)
    ]
