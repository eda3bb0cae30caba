"""EN · ciphertext only, by canaries: secrets are planted, and searched for in the store and in messages."""

from __future__ import annotations

import secrets
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import seal
from pytest_mcp_storage.canary.log_capture import LogCapture
from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.generators import CREDENTIALS, sessions
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import SessionData

NO_JSON = "tokens that are not JSON"


@clause_test("EN-1", at_most=4, session=sessions(), padding=every(0, 100, 3_000, 20_000))
async def test_no_secret_lies_in_the_store(context: TestContext, session: SessionData, padding: int) -> None:
    canaries, more = Canaries(), "read write " * (padding // 11)
    async with context.another_store() as harness:
        store = await context.open(context.key, name="store", harness=harness)
        kept, updated, revoked, removed = (
            session.model_copy(
                update={
                    "session_id": f"{number}{session.session_id}",
                    **canaries.credentials("a new session", padding=more),
                }
            )
            for number in range(4)
        )
        for each in (kept, updated, revoked, removed):
            await store.create_session(each)
        await store.update_session(session.identity, updated.session_id, canaries.credentials("an update"))
        await store.update_session(session.identity, updated.session_id, canaries.credentials("a second update"), 9_000)
        await store.update_session(session.identity, kept.session_id, {"server_name": "renamed"})
        await store.update_session(session.identity, revoked.session_id, {"tokens": None, "headers": None})
        await store.remove_session(session.identity, removed.session_id)
        await _read_all(store, kept)
        await _assert_free_of(canaries, await harness.stored_bytes(), "with an open handle")
        await store.disconnect()
        await _assert_free_of(canaries, await harness.stored_bytes(), "after disconnect")
        store = await context.open(context.key, name="reopened", harness=harness)
        again = removed.model_copy(update=canaries.credentials("a session created anew"))
        await store.create_session(again, 9_000)
        await store.update_session(session.identity, again.session_id, {"server_name": "renamed"})
        await _read_all(store, kept)
        await _assert_free_of(canaries, await harness.stored_bytes(), "after a new open")
        for each in (kept, updated, revoked, again):
            await store.remove_session(each.identity, each.session_id)
        await _assert_free_of(canaries, await harness.stored_bytes(), "after the sessions were removed")
        await store.disconnect()


@clause_test("EN-1", at_most=2, session=sessions())
async def test_no_secret_outlives_its_session(context: TestContext, session: SessionData) -> None:
    if not context.store_is_ours:
        return context.leave_out("sessions that expired or were cleared: the store may hold others' data")
    canaries = Canaries()
    short, long = (
        session.model_copy(
            update={"session_id": f"{number}{session.session_id}", **canaries.credentials("a session of the past")}
        )
        for number in range(2)
    )
    async with context.another_store() as harness:
        store = await context.open(context.key, name="store", harness=harness)
        await store.create_session(short, ttl=60)
        await store.create_session(long)
        if context.can(Capability.CLOCK):
            await context.pass_time(62)
            await _read_all(store, short)
            await store.cleanup_expired_sessions()
            await _assert_free_of(canaries, await harness.stored_bytes(), "after a session expired")
        else:
            context.leave_out("sessions that expire (needs CLOCK)")
        await store.clear_all()
        await _assert_free_of(canaries, await harness.stored_bytes(), "after all sessions were cleared")
        await store.disconnect()
    return None


@clause_test("EN-1", at_most=2, session=sessions())
async def test_no_refused_secret_lies_in_the_store(context: TestContext, session: SessionData) -> None:
    canaries = Canaries()
    secret, name = canaries.credentials, (session.identity, session.session_id)
    async with context.another_store() as harness:
        store = await context.open(context.key, name="store", harness=harness)
        await store.create_session(session)
        for doing, method, *arguments in (
            ("a create of a live session", store.create_session, session.model_copy(update=secret("a second create"))),
            ("a create with a bad ttl", store.create_session, session.model_copy(update=secret("a bad create")), -1),
            ("an update with a bad ttl", store.update_session, *name, secret("a bad renewal"), -1),
            ("an update with a bad value", store.update_session, *name, {**secret("a bad update"), "created_at": -1}),
            ("an update of a missing session", store.update_session, name[0], "missing", secret("a late update")),
        ):
            await outcome_of(method(*arguments))
            await _assert_free_of(canaries, await harness.stored_bytes(), f"after {doing}")
        if context.can(Capability.OUTAGE):
            late = session.model_copy(update={"session_id": f"late {session.session_id}", **secret("a create")})
            async with harness.outage():
                await outcome_of(store.create_session(late))
                await outcome_of(store.update_session(*name, secret("an update")))
            await _assert_free_of(canaries, await harness.stored_bytes(), "after writes in an outage")
        else:
            context.leave_out("writes in an outage (needs OUTAGE)")
        await store.disconnect()


async def _read_all(store: RecordingBackend, session: SessionData) -> None:
    await store.get_session(session.identity, session.session_id)
    await store.get_identity_sessions_data(session.identity)


@clause_test("EN-10", at_most=5, session=sessions(), sealed=every(False, True))
async def test_no_call_tells_a_secret(context: TestContext, session: SessionData, sealed: bool) -> None:
    canaries, key = _canaries_and_key()
    session = session.model_copy(update={**canaries.credentials("a session"), **canaries.client_secrets("a session")})
    slip, name = canaries.secret("a secret in a refused update"), (session.identity, session.session_id)
    with LogCapture() as captured:
        store = await context.open(*([key] if sealed and context.can(Capability.KEY) else []))
        calls: list[tuple[Any, ...]] = [
            ("a create", store.create_session, session),
            ("a create of a live session", store.create_session, session),
            ("a create with a bad ttl", store.create_session, session, -1),
            ("a read", store.get_session, *name),
            ("a listing", store.get_identity_sessions_data, session.identity),
            ("an update", store.update_session, *name, canaries.credentials("an update")),
            ("an update of the client", store.update_session, *name, canaries.client_secrets("an update")),
            ("an update of a missing session", store.update_session, name[0], "missing", {"tokens": {"t": slip}}),
            ("an update with a bad ttl", store.update_session, *name, {"tokens": {"t": slip}}, -1),
            ("tokens that are text", store.update_session, *name, {"tokens": slip}),
            ("tokens that are a list", store.update_session, *name, {"tokens": [slip]}),
            (NO_JSON, store.update_session, *name, {"tokens": {slip: {slip}}}),
            ("tokens with NaN", store.update_session, *name, {"tokens": {"t": slip, "n": float("nan")}}),
            ("a header that is a list", store.update_session, *name, {"headers": {"h": [slip]}}),
            ("a header with NUL", store.update_session, *name, {"headers": {"h": f"{slip}\0"}}),
            ("a header with a lone surrogate", store.update_session, *name, {"headers": {"h": f"{slip}\ud800"}}),
            ("tokens with an unknown field", store.update_session, *name, {"tokens": {"t": slip}, "no_such": 1}),
            ("a verifier like an envelope", store.update_session, *name, {"code_verifier": f"enc:1:{slip}"}),
            ("client information that is text", store.update_session, *name, {"client_information": slip}),
            ("a listing of ids", store.get_identity_mcp_sessions, session.identity),
            ("a second init", store.init),
            ("a removal", store.remove_session, *name),
            ("disconnect", store.disconnect),
            ("a create on a closed handle", store.create_session, session),
        ]
        if context.store_is_ours:
            calls[3:3] = [("all ids", store.get_all_session_ids), ("cleanup", store.cleanup_expired_sessions)]
        for doing, method, *arguments in calls:
            try:
                captured.take(doing, await outcome_of(method(*arguments)))
            except NotMeasurable:
                if doing != NO_JSON:
                    raise
                context.leave_out("an update with what is no JSON value, which a bridge can't carry")
            captured.take(f"the handle after {doing}", store.backend)
    _assert_does_not_leak(captured, canaries)


@clause_test("EN-10", at_most=2, waits=True, session=sessions(), sealed=every(False, True))
async def test_no_session_that_ends_tells_a_secret(context: TestContext, session: SessionData, sealed: bool) -> None:
    canaries, key = _canaries_and_key()
    session = session.model_copy(update={**canaries.credentials("a session"), **canaries.client_secrets("a session")})
    with LogCapture() as captured:
        store = await context.open(*([key] if sealed and context.can(Capability.KEY) else []))
        await store.create_session(session, context.ttl(60))
        await context.pass_time(context.ttl(60) + 1)
        name = session.identity, session.session_id
        calls: list[tuple[Any, ...]] = [
            ("a read of an expired session", store.get_session, *name),
            ("a listing without it", store.get_identity_sessions_data, session.identity),
            ("an update of an expired session", store.update_session, *name, canaries.credentials("a late update")),
        ]
        if context.store_is_ours:
            calls += [("cleanup", store.cleanup_expired_sessions), ("a new create", store.create_session, session)]
            calls += [("clear_all", store.clear_all)]
        for doing, method, *arguments in calls:
            captured.take(doing, await outcome_of(method(*arguments)))
        captured.take("the handle", store.backend)
        await store.disconnect()
    _assert_does_not_leak(captured, canaries)


@clause_test("EN-10", needs=[Capability.KEY, Capability.AT_REST], at_most=2, session=sessions())
async def test_no_unreadable_session_tells_a_secret(context: TestContext, session: SessionData) -> None:
    canaries, key = _canaries_and_key()
    slip = canaries.secret("a secret in a damaged row")
    clear, text = f'{{"access_token":"{slip}"}}', f'"{slip}"'
    sealed = seal(clear.encode(), key)
    damaged = (
        ("text in clear", slip),
        ("a list in clear", [slip]),
        ("JSON text in clear", clear),
        ("clear text with the label of an envelope", f"enc:1:{slip}"),
        ("a cut envelope", str(sealed)[:-2]),
        ("an envelope of another key", str(seal(clear.encode(), context.other_key))),
        ("an envelope over text", str(seal(text.encode(), key))),
        ("an envelope over a list", str(seal(f"[{text}]".encode(), key))),
        ("an envelope over broken JSON", str(seal(clear[:-1].encode(), key))),
        ("an envelope over no UTF-8", str(seal(slip.encode() + b"\xff", key))),
    )
    with LogCapture() as captured:
        for field in CREDENTIALS:
            names = {"identity": f"{field}{session.identity}", "session_id": f"{field}{session.session_id}"}
            one = session.model_copy(update=names)
            await (await context.holder(key)).create_session(one)
            for what, planted in damaged:
                await context.plant(one, field, planted)
                store = await context.holder(key)
                for method, *arguments in (
                    (store.get_session, one.identity, one.session_id),
                    (store.get_identity_sessions_data, one.identity),
                    (store.update_session, one.identity, one.session_id, {"server_name": "n"}),
                ):
                    captured.take(f"{method.__name__} of {what} in {field}", await outcome_of(method(*arguments)))
                captured.take("the handle", store.backend)
    _assert_does_not_leak(captured, canaries)


@clause_test("EN-10", needs=[Capability.KEY], at_most=1, session=sessions(**CREDENTIALS))
async def test_no_older_key_is_told(context: TestContext, session: SessionData) -> None:
    canaries, old = _canaries_and_key()
    name = session.identity, session.session_id
    new = secrets.token_hex(32)
    canaries.guard_key(new, "the newer key")
    if context.one_store:
        await (await context.holder(old)).create_session(session)
    else:
        context.leave_out("a session of an older key (needs SHARED or DURABLE)")
    with LogCapture() as captured:
        store = await outcome_of(context.holder(new, old))
        captured.take("opening with two keys", store)
        if isinstance(store, RecordingBackend):
            captured.take("a read with two keys", await outcome_of(store.get_session(*name)))
            captured.take("an update", await outcome_of(store.update_session(*name, {"server_name": "n"})))
            captured.take("the handle with two keys", store.backend)
    _assert_does_not_leak(captured, canaries)


@clause_test("EN-10", needs=[Capability.OUTAGE], at_most=2, session=sessions())
async def test_no_outage_tells_a_secret(context: TestContext, session: SessionData) -> None:
    canaries, key = _canaries_and_key()
    session = session.model_copy(update={**canaries.credentials("a session"), **canaries.client_secrets("a session")})
    with LogCapture() as captured:
        store = await context.open(*([key] if context.can(Capability.KEY) else []))
        await store.create_session(session)
        faults = [context.harness.outage]
        if context.can(Capability.LOST_ANSWER):
            faults.append(context.harness.lost_answer)
        calls: tuple[tuple[Any, ...], ...] = (
            (store.create_session, session),
            (store.get_session, session.identity, session.session_id),
            (store.get_identity_sessions_data, session.identity),
            (store.update_session, session.identity, session.session_id, canaries.credentials("an update")),
            (store.remove_session, session.identity, session.session_id),
            (context.open, *([key] if context.can(Capability.KEY) else [])),
        )
        for fault in faults:
            async with fault():
                for method, *arguments in calls:
                    captured.take(f"{method.__name__} in an outage", await outcome_of(method(*arguments)))
            captured.take("the handle after an outage", store.backend)
        await store.disconnect()
    _assert_does_not_leak(captured, canaries)


@clause_test("EN-10", needs=[Capability.KEY], at_most=4, kept=st.integers(56, 64), other=st.sampled_from("z é_\n"))
async def test_no_refused_key_is_told(context: TestContext, kept: int, other: str) -> None:
    canaries, good = _canaries_and_key()
    key = secrets.token_hex(32)
    canaries.guard_key(key[:56], "most of a refused key")
    with LogCapture() as captured:
        for keys in ((key[:kept] + other,), (good, key[:kept] + other), (canaries.secret("a refused key"),)):
            captured.take("opening with a bad key", await outcome_of(context.open(*keys)))
    _assert_does_not_leak(captured, canaries)


def _canaries_and_key() -> tuple[Canaries, str]:
    canaries, key = Canaries(), secrets.token_hex(32)
    canaries.guard_key(key, "the encryption key")
    return canaries, key


def _assert_does_not_leak(captured: LogCapture, canaries: Canaries) -> None:
    if leak := captured.leak(canaries):
        raise Violation(leak, should="show no secret and no key")


@clause_test("EN-11", at_most=2, session=sessions())
async def test_client_secrets_are_sealed_too(context: TestContext, session: SessionData) -> None:
    canaries = Canaries()
    async with context.another_store() as harness:
        store = await context.open(context.key, name="store", harness=harness)
        created = session.model_copy(update=canaries.client_secrets("a new session"))
        await store.create_session(created)
        await _assert_free_of(canaries, await harness.stored_bytes(), "after a create")
        new = canaries.client_secrets("an update")
        await store.update_session(session.identity, session.session_id, new)
        await _assert_free_of(canaries, await harness.stored_bytes(), "after an update")
        expected = created.model_copy(update=new)
        if found := difference(await store.get_session(session.identity, session.session_id), expected):
            raise Violation(f"get_session returned {found}", should="return them in clear")
        await store.remove_session(session.identity, session.session_id)
        await store.disconnect()


async def _assert_free_of(canaries: Canaries, stored: bytes, when: str) -> None:
    if found := canaries.found_in(stored):
        raise Violation(f"{when} the store holds {found}", should="hold no secret, in any encoding")
