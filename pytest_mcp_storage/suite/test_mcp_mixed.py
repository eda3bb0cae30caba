"""MX · mixed plain and encrypted: a key that comes late, or changes, loses no session."""

from __future__ import annotations

import logging
import re
from typing import Any

from hypothesis import strategies as st

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import flaw
from pytest_mcp_storage.canary.overhearing import Overheard
from pytest_mcp_storage.capabilities import Capability
from pytest_mcp_storage.measuring.measure import measures
from pytest_mcp_storage.measuring.trial import Trial
from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.mixture import SECRETS, MixtureMachine, RotationMachine
from pytest_mcp_storage.oracle.strategies import CREDENTIALS, changes, sessions
from pytest_mcp_storage.oracle.views import must_show
from reference_backends import SessionData

ABOUT_THE_KEY = re.compile(
    r"encrypt|cipher|\b(no|without (a|any)) key\b|in (the )?clear\b|\bin plain|plain ?text|unprotected|insecure",
    re.IGNORECASE,
)
"""Not every key: stores warn of those to their database too, and of what they cleared."""

guarded = sessions("alice", **CREDENTIALS)
"""Sessions of one identity, with tokens and headers."""

replacements = st.fixed_dictionaries({}, optional=CREDENTIALS)
"""New values of either, of both, or of neither."""

pairs = st.lists(guarded, min_size=2, max_size=2, unique_by=lambda session: session.session_id)


@measures("MX-1", needs=[Capability.SHARED], at_most=15, pair=pairs)
async def test_clear_sessions_are_read_beside_sealed_ones(trial: Trial, pair: list[SessionData]) -> None:
    clear, sealed = pair
    store = await trial.holder(trial.key)
    await store.create_session(sealed)
    await (await trial.holder()).create_session(clear)
    await _must_read(trial, store, clear, sealed)


@measures("MX-1", needs=[Capability.DURABLE], at_most=10, pair=pairs)
async def test_clear_sessions_are_read_after_a_new_open_with_a_key(trial: Trial, pair: list[SessionData]) -> None:
    clear, sealed = pair
    before = await trial.open(name="before")
    await before.create_session(clear)
    await before.disconnect()
    after = await trial.open(trial.key, name="after")
    await after.create_session(sealed)
    await _must_read(trial, after, clear, sealed)
    await after.disconnect()


@measures("MX-1", needs=[Capability.AT_REST], at_most=15, pair=pairs)
async def test_what_lies_in_clear_is_read(trial: Trial, pair: list[SessionData]) -> None:
    clear, sealed = pair
    await (await trial.holder(trial.key)).create_session(sealed)
    await _lay_in_clear(trial, clear)
    await _must_read(trial, await trial.holder(trial.key), clear, sealed)


async def _must_read(trial: Trial, store: Witness, *expected: SessionData) -> None:
    await must_show(trial, store, expected, when="with a key set", should="show clear and sealed sessions")


@measures("MX-2", session=guarded, named=replacements.filter(bool), more=changes())
async def test_what_is_written_under_a_key_is_sealed(
    trial: Trial, session: SessionData, named: dict[str, Any], more: dict[str, Any]
) -> None:
    await _lay_in_clear(trial, session)
    store = await trial.holder(trial.key)
    for ttl in (None, 9_000):
        await store.update_session(session.identity, session.session_id, {**more, **named}, ttl)
        await _must_be_sealed(trial, session, named, "an update")
        created = session.model_copy(update={"session_id": f"new{session.session_id}"})
        await store.create_session(created, ttl)
        await _must_be_sealed(trial, created, {field: getattr(created, field) for field in CREDENTIALS}, "a create")
        await store.remove_session(created.identity, created.session_id)


async def _must_be_sealed(trial: Trial, session: SessionData, written: dict[str, Any], by: str) -> None:
    stored = await trial.row_of(session)
    for field, value in written.items():
        if found := flaw(stored[field], value, trial.key):
            raise Violation(f"{field} that {by} wrote under a key are stored as {found}", should="be sealed")


@measures("MX-3")
def test_any_mixture_of_clear_and_sealed_writes_answers_as_the_model_does(trial: Trial) -> type[MixtureMachine]:
    if not trial.one_store:
        trial.leave_out("plain and encrypted writes of one session (needs SHARED or DURABLE)")
    return MixtureMachine


@measures("MX-4", at_most=2, session=sessions())
async def test_each_handle_without_a_key_warns_once(trial: Trial, session: SessionData) -> None:
    canaries = Canaries()
    session = session.model_copy(update={**canaries.credentials("a session"), **canaries.client_secrets("a session")})
    for number in ("first", "second"):
        with Overheard() as overheard:
            store = await trial.open(name=number)
            await store.init()
            await store.create_session(session.model_copy(update={"session_id": f"{number}{session.session_id}"}))
            await store.init()
            await store.disconnect()
            await store.init()
            await store.disconnect()
        said = [record.getMessage() for record in overheard.records if record.levelno == logging.WARNING]
        said += [str(warning.message) for warning in overheard.warnings]
        about = [text for text in said if ABOUT_THE_KEY.search(text)]
        if len(about) != 1:
            raise Violation(f"the {number} handle without a key warned {len(about)} times: {about}", should="warn once")
        if found := canaries.found_in(about[0].encode()):
            raise Violation(f"the warning shows {found}", should="name no secret")


@measures("MX-5", at_most=25, session=guarded, named=changes())
async def test_an_update_seals_what_still_lies_in_clear(
    trial: Trial, session: SessionData, named: dict[str, Any]
) -> None:
    named = {field: value for field, value in named.items() if field not in CREDENTIALS}
    await _lay_in_clear(trial, session)
    store = await trial.holder(trial.key)
    await store.update_session(session.identity, session.session_id, named)
    stored = await trial.row_of(session)
    for field in CREDENTIALS:
        if found := flaw(stored[field], getattr(session, field), trial.key):
            raise Violation(f"{field} that lay in clear are, after an update, stored as {found}", should="be sealed")


async def _lay_in_clear(trial: Trial, session: SessionData) -> None:
    """Write the session by a handle without a key; where no other handle would find it, plant it."""
    if trial.one_store:
        await (await trial.holder()).create_session(session)
        return
    await (await trial.holder(trial.key)).create_session(session)
    for field in CREDENTIALS:
        await trial.plant(session, field, getattr(session, field))


@measures("MX-6")
def test_keys_are_rotated_without_losing_a_session(trial: Trial) -> type[RotationMachine]:
    if not trial.one_store:
        trial.leave_out("keys that come and go (needs SHARED or DURABLE)")
    return RotationMachine


@measures("MX-6", at_most=8, pair=pairs)
async def test_a_session_outlives_its_key(trial: Trial, pair: list[SessionData]) -> None:
    if not trial.one_store:
        return trial.leave_out("sessions of a handle with the older key (needs SHARED or DURABLE)")
    old, new = pair
    await (await trial.holder(trial.key)).create_session(old)
    store = await trial.holder(trial.other_key, "3c" * 32, trial.key)
    await store.create_session(new)
    await _must_read(trial, store, old, new)
    await store.update_session(old.identity, old.session_id, {field: getattr(old, field) for field in SECRETS})
    await _must_read(trial, await trial.holder(trial.other_key), old, new)
    return None


@measures(
    "MX-6",
    needs=[Capability.AT_REST],
    at_most=10,
    session=guarded,
    named=replacements,
)
async def test_the_first_key_seals(trial: Trial, session: SessionData, named: dict[str, Any]) -> None:
    store = await trial.holder(trial.other_key, trial.key)
    await store.create_session(session)
    await store.update_session(session.identity, session.session_id, named)
    stored = await trial.row_of(session)
    for field, value in {**{field: getattr(session, field) for field in CREDENTIALS}, **named}.items():
        if found := flaw(stored[field], value, trial.other_key):
            raise Violation(f"under two keys {field} are stored as {found}", should="be sealed with the first")
