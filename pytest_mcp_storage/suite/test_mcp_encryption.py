"""EN · ciphertext only: what is written under a key is read with that key alone, and what can't be read raises."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.envelopes import Envelope, flaw, parse, seal
from pytest_mcp_storage.canary.tampering import LABEL, LABELS, OTHER_TEXTS, Tampering, near_misses, tamperings
from pytest_mcp_storage.engine.at_rest import row_of
from pytest_mcp_storage.engine.clause_tests import clause_test, every
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, assert_raises, outcome_of
from pytest_mcp_storage.oracle.generators import ABSENT, CREDENTIALS, changes, sessions
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe, short_repr
from reference_backends import ConfigurationError, DecryptionError, SessionData, StorageError

CLIENT_SECRETS = ("code_verifier", "client_information")
ATTEMPTS = 3
THIRD_KEY = "3c" * 32

guarded = sessions(**CREDENTIALS)
"""Sessions with tokens and headers."""

elsewhere = changes(1).map(lambda named: {field: value for field, value in named.items() if field not in CREDENTIALS})
"""Updates that name neither."""


families = st.lists(
    sessions("alice", **CREDENTIALS), min_size=2, max_size=5, unique_by=lambda session: session.session_id
)


@clause_test("EN-2", session=guarded, named=changes())
async def test_a_stored_secret_is_an_envelope(
    context: TestContext, session: SessionData, named: dict[str, Any]
) -> None:
    store = await context.holder(context.key)
    await store.create_session(session)
    await _assert_sealed(context, session, "after a create")
    await store.update_session(session.identity, session.session_id, named)
    await _assert_sealed(context, session.model_copy(update=named), "after an update")


@clause_test("EN-4", at_most=1, session=guarded)
async def test_what_only_resembles_an_envelope_is_refused(context: TestContext, session: SessionData) -> None:
    await (await context.holder(context.key)).create_session(session)
    for field in CREDENTIALS:
        sealed = (await row_of(context, session))[field]
        for what, text in near_misses(await envelope_of(context, session, field), context.key):
            await context.plant(session, field, text)
            await _assert_refuses_to_read(await context.holder(context.key), session, f"of {what} in {field}")
        await context.plant(session, field, sealed)


@clause_test("EN-4", at_most=1, session=guarded, field=every(*CREDENTIALS))
async def test_other_text_is_refused_without_a_key_too(context: TestContext, session: SessionData, field: str) -> None:
    if not context.one_store:
        return context.leave_out("a handle without a key (needs SHARED or DURABLE)")
    await (await context.holder()).create_session(session)
    rest = str(seal(b"{}", context.key)).removeprefix(LABEL)
    for text in (*OTHER_TEXTS, *(label + rest for label in LABELS)):
        await context.plant(session, field, text)
        await _assert_refuses_to_read(
            await context.holder(), session, f"without a key of {short_repr(text, 80)} in {field}"
        )
    return None


@clause_test("EN-4", session=guarded, field=every(*CREDENTIALS), damage=st.lists(tamperings(), min_size=25))
async def test_an_altered_envelope_is_refused(
    context: TestContext, session: SessionData, field: str, damage: list[Tampering]
) -> None:
    await (await context.holder(context.key)).create_session(session)
    envelope = await envelope_of(context, session, field)
    for each in damage[: max(1, context.tier.examples // 16)]:
        await context.plant(session, field, each(envelope, context.key))
        await _assert_refuses_to_read(await context.holder(context.key), session, f"of {each.kind} in {field}")


async def envelope_of(context: TestContext, session: SessionData, field: str) -> Envelope:
    stored = (await row_of(context, session))[field]
    envelope = parse(stored)
    if envelope is None:
        raise Violation(f"{field} are stored as {short_repr(stored, 120)}", should="be an envelope, as EN-2 says")
    return envelope


@clause_test("EN-5", at_most=15, session=guarded, field=every(*CREDENTIALS))
async def test_what_another_key_sealed_is_refused(context: TestContext, session: SessionData, field: str) -> None:
    await (await context.holder(context.key)).create_session(session)
    await context.plant(session, field, str(seal(b'{"access_token":"t"}', context.other_key)))
    await _assert_refuses_to_read(await context.holder(context.key), session, "with another key than the session's")


@clause_test("EN-5", at_most=15, session=guarded, bare=every(None, *CREDENTIALS))
async def test_a_wrong_key_and_no_key_are_refused(context: TestContext, session: SessionData, bare: str | None) -> None:
    if not context.one_store:
        return context.leave_out("a session that another handle wrote (needs SHARED or DURABLE)")
    session = session.model_copy(update={bare: None} if bare else {})
    await (await context.holder(context.key)).create_session(session)
    await _assert_refuses_to_read(await context.holder(context.other_key), session, "with a wrong key")
    await _assert_refuses_to_read(await context.holder(), session, "without a key")
    return None


@clause_test("EN-5", at_most=4, session=guarded)
async def test_several_wrong_keys_are_refused(context: TestContext, session: SessionData) -> None:
    if not context.one_store:
        return context.leave_out("a session that another handle wrote (needs SHARED or DURABLE)")
    await (await context.holder(context.key)).create_session(session)
    strangers = await outcome_of(context.holder(context.other_key, THIRD_KEY))
    if isinstance(strangers, ConfigurationError):
        return context.leave_out("several wrong keys: the store takes one, though MX-6 asks for more")
    if isinstance(strangers, Exception):
        raise strangers
    await _assert_refuses_to_read(strangers, session, "with two wrong keys")
    return None


@clause_test(
    "EN-5",
    at_most=4,
    session=sessions(),
    secret=every({"code_verifier": "verifier"}, {"client_information": {"client_secret": "secret"}}),
    keyless=every(False, True),
)
async def test_a_client_secret_alone_is_refused_too(
    context: TestContext, session: SessionData, secret: dict[str, Any], keyless: bool
) -> None:
    if not context.one_store:
        return context.leave_out("a session that another handle wrote (needs SHARED or DURABLE)")
    session = session.model_copy(update={**ABSENT, **secret})
    await (await context.holder(context.key)).create_session(session)
    (field,) = secret
    if LABEL not in str((await row_of(context, session))[field]):
        return context.leave_out(f"a {field} that is sealed, as EN-11 asks: it is in clear, or is not shown")
    stranger = await context.holder(*([] if keyless else [context.other_key]))
    await _assert_refuses_to_read(stranger, session, f"whose sealed {field} it has no key for")
    return None


async def _assert_refuses_to_read(store: RecordingBackend, session: SessionData, how: str) -> None:
    for method, *arguments in _reads(store, session):
        await assert_raises(DecryptionError, method(*arguments), doing=f"{method.__name__} {how}")


@clause_test("EN-6", at_most=20, session=guarded, damage=tamperings())
async def test_reading_what_cannot_be_read_changes_nothing(
    context: TestContext, session: SessionData, damage: Tampering
) -> None:
    store = await context.holder(context.key)
    await store.create_session(session)
    before = await row_of(context, session)
    envelope = parse(before["tokens"])
    await context.plant(session, "tokens", damage(envelope, context.key) if envelope else "unreadable")
    planted = await row_of(context, session)
    store = await context.holder(context.key)
    await _try_to_read(context, store, session)
    if await row_of(context, session) != planted:
        raise Violation("a read that failed changed the stored fields", should="leave them as they are")
    await context.plant(session, "tokens", before["tokens"])
    seen = await outcome_of((await context.holder(context.key)).get_session(session.identity, session.session_id))
    if isinstance(seen, Exception) or difference(seen, session):
        raise Violation(f"the session, once its envelope was put back, {describe(seen)}", should="be read as before")


@clause_test("EN-6", at_most=15, session=guarded)
async def test_the_right_key_still_reads_after_a_wrong_one(context: TestContext, session: SessionData) -> None:
    if not context.one_store:
        return context.leave_out("reads by a handle with a wrong key (needs SHARED or DURABLE)")
    await (await context.holder(context.key)).create_session(session)
    before = await row_of(context, session)
    for keys, holder in (((context.other_key,), "a wrong key"), ((), "no key")):
        stranger = await context.holder(*keys)
        await _try_to_read(context, stranger, session)
        if await row_of(context, session) != before:
            raise Violation(f"a read with {holder} changed the stored fields", should="leave them as they are")
        await outcome_of(stranger.update_session(session.identity, session.session_id, {"active": True}))
        seen = await outcome_of((await context.holder(context.key)).get_session(session.identity, session.session_id))
        expected = session.model_copy(update={"active": getattr(seen, "active", None)})
        if isinstance(seen, Exception) or difference(seen, expected):
            raise Violation(
                f"after the calls of {holder} the right key's get_session {describe(seen)}", should="read it"
            )
    return None


@clause_test("EN-6", at_most=15, session=guarded)
async def test_an_envelope_is_not_sealed_once_more(context: TestContext, session: SessionData) -> None:
    """Write the envelope back as tokens, if a store returned it so: sealed again, the secret would be lost."""
    if not context.one_store:
        return context.leave_out("an update by a handle with a wrong key (needs SHARED or DURABLE)")
    await (await context.holder(context.key)).create_session(session)
    envelope = (await row_of(context, session))["tokens"]
    stranger = await context.holder(context.other_key)
    await outcome_of(stranger.update_session(session.identity, session.session_id, {"tokens": envelope}))
    seen = await outcome_of((await context.holder(context.key)).get_session(session.identity, session.session_id))
    if getattr(seen, "tokens", None) != session.tokens:
        raise Violation(
            f"once a wrong key had updated tokens to the envelope the right key's get_session {describe(seen)}",
            should="refuse text in the place of tokens, and keep them readable",
        )
    return None


async def _try_to_read(context: TestContext, store: RecordingBackend, session: SessionData) -> None:
    """Call every read, often enough for a store that removes a session after some failures."""
    for method, *arguments in (*_reads(store, session), (store.get_identity_mcp_sessions, session.identity)):
        for _ in range(ATTEMPTS):
            await outcome_of(method(*arguments))
    if context.store_is_ours:
        await outcome_of(store.get_all_session_ids())


@clause_test(
    "EN-7", at_most=25, family=families, field=every(*CREDENTIALS), broken=st.integers(1, 4), damage=tamperings()
)
async def test_a_listing_names_what_it_cannot_decrypt(
    context: TestContext, family: list[SessionData], field: str, broken: int, damage: Tampering
) -> None:
    store = await context.holder(context.key)
    for session in family:
        await store.create_session(session)
    unreadable, readable = family[: min(broken, len(family) - 1)], family[min(broken, len(family) - 1) :]
    for session in unreadable:
        await context.plant(session, field, damage(seal(b"{}", context.key), context.key))
    store = await context.holder(context.key)
    await _assert_lists_ids(context, store, family)
    await _assert_names_one(store, unreadable)
    await _assert_reads_beside(store, readable)


@clause_test("EN-7", at_most=10, family=families, keyless=every(False, True))
async def test_a_listing_names_what_it_has_no_key_for(
    context: TestContext, family: list[SessionData], keyless: bool
) -> None:
    if not context.one_store:
        return context.leave_out("sessions that another handle wrote (needs SHARED or DURABLE)")
    clear, *sealed = family
    await (await context.holder()).create_session(clear)
    for session in sealed:
        await (await context.holder(context.key)).create_session(session)
    stranger = await context.holder(*([] if keyless else [context.other_key]))
    await _assert_lists_ids(context, stranger, family)
    await _assert_names_one(stranger, sealed)
    await _assert_reads_beside(stranger, [clear])
    return None


async def _assert_lists_ids(context: TestContext, store: RecordingBackend, family: list[SessionData]) -> None:
    """Ids are not encrypted, and a caller needs them to remove the session."""
    expected = {session.session_id for session in family}
    seen = {"get_identity_mcp_sessions": await outcome_of(store.get_identity_mcp_sessions(family[0].identity))}
    if context.store_is_ours:
        seen["get_all_session_ids"] = await outcome_of(store.get_all_session_ids())
    for method, ids in seen.items():
        if isinstance(ids, Exception) or not expected <= set(ids):
            raise Violation(
                f"{method}, with a session that can't be decrypted, {describe(ids)}", should="list its id too"
            )


async def _assert_names_one(store: RecordingBackend, unreadable: list[SessionData]) -> None:
    listing = store.get_identity_sessions_data(unreadable[0].identity)
    error = await assert_raises(DecryptionError, listing, doing="a listing with a session that can't be decrypted")
    names = [session.session_id for session in unreadable]
    if getattr(error, "session_id", None) not in names:
        raise Violation(
            f"the listing's DecryptionError has session_id = {getattr(error, 'session_id', None)!r}",
            should=f"name the session: {' or '.join(map(repr, names))}",
        )


async def _assert_reads_beside(store: RecordingBackend, readable: list[SessionData]) -> None:
    for session in readable:
        seen = await outcome_of(store.get_session(session.identity, session.session_id))
        if isinstance(seen, Exception) or difference(seen, session):
            raise Violation(f"get_session of its neighbour {describe(seen)}", should="return that session")


@clause_test("EN-9", at_most=25, session=guarded, named=elsewhere, ttl=every(None, 9_000))
async def test_an_update_of_another_field_keeps_the_secrets_sealed(
    context: TestContext, session: SessionData, named: dict[str, Any], ttl: float | None
) -> None:
    store = await context.holder(context.key)
    await store.create_session(session)
    for update in ({}, named):
        await store.update_session(session.identity, session.session_id, update, ttl)
        what = f"{', '.join(update) or 'no field'}{'' if ttl is None else ' with a ttl'}"
        await _assert_sealed(context, session, f"after an update of {what}")
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, session.model_copy(update=named)):
        raise Violation(f"after an update of other fields get_session returned {found}", should="keep the secrets")


@clause_test("EN-9", at_most=25, session=guarded, named=elsewhere, keyless=every(False, True), ttl=every(None, 9_000))
async def test_an_update_without_the_right_key_keeps_the_secrets_sealed(
    context: TestContext, session: SessionData, named: dict[str, Any], keyless: bool, ttl: float | None
) -> None:
    if not context.one_store:
        return context.leave_out("updates by a handle without the right key (needs SHARED or DURABLE)")
    named = {field: value for field, value in named.items() if field not in CLIENT_SECRETS}
    await (await context.holder(context.key)).create_session(session)
    holder = "no key" if keyless else "another key"
    stranger = await context.holder(*([] if keyless else [context.other_key]))
    got = await outcome_of(stranger.update_session(session.identity, session.session_id, named, ttl))
    if isinstance(got, Exception) and not isinstance(got, StorageError):
        raise got
    await _assert_sealed(context, session, f"after an update with {holder}")
    expected = session if isinstance(got, Exception) else session.model_copy(update=named)
    seen = await (await context.holder(context.key)).get_session(session.identity, session.session_id)
    if found := difference(seen, expected):
        raise Violation(f"after an update with {holder} get_session returned {found}", should="lose nothing")
    return None


def _reads(store: RecordingBackend, session: SessionData) -> list[tuple[Any, ...]]:
    """Return the reads that decrypt a session, as method and arguments."""
    return [
        (store.get_session, session.identity, session.session_id),
        (store.get_identity_sessions_data, session.identity),
    ]


async def _assert_sealed(context: TestContext, session: SessionData, when: str) -> None:
    stored = await row_of(context, session)
    for field in CREDENTIALS:
        value = getattr(session, field)
        if value is not None and (found := flaw(stored[field], value, context.key)):
            raise Violation(f"{when} {field} are stored as {found}", should="be sealed under the key")
