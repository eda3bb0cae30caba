"""What a store does for each user: the service, a signed-in user, another one, and nobody (RS-1 to RS-5)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from reference_backends import SessionData, StorageError, StorageUnavailableError


@dataclass(frozen=True)
class Intrusion:
    """What a user tries without the backend: to store ``session`` with ``user_id = owner``."""

    doing: str
    session: SessionData
    owner: str


def user_id(context: TestContext, name: str) -> str:
    """Return a new user id, a UUID, as most projects use."""
    return str(uuid5(NAMESPACE_OID, context.identity(name)))


def owned(session: SessionData, user: str, mark: str = "") -> SessionData:
    """Return the session as this user's; ``mark`` distinguishes its id from others'."""
    return session.model_copy(update={"identity": user, "session_id": f"{session.session_id}{mark}"})


def intrusions(alices: SessionData, bobs: SessionData) -> Iterator[Intrusion]:
    """Return what Alice may try with her own row, with Bob's row, and with new ones."""
    alice, bob = alices.identity, bobs.identity
    yield Intrusion("inserting a row of one's own under another's identity", owned(bobs, bob, " 1"), alice)
    yield Intrusion("inserting a row in another's name", owned(bobs, bob, " 2"), bob)
    yield Intrusion("inserting a row under one's own identity in another's name", owned(alices, alice, " 3"), bob)
    yield Intrusion("giving a row of one's own another's identity", owned(alices, bob), alice)
    yield Intrusion("handing a row over", owned(alices, bob), bob)
    yield Intrusion("handing a row over and keeping one's identity in it", owned(alices, alice), bob)
    yield Intrusion("taking another's row over", owned(bobs, alice), alice)
    yield Intrusion("writing into another's row", bobs.model_copy(update={"server_url": "https://evil.example"}), bob)


async def written(context: TestContext, user: str | None, session: SessionData, owner: str) -> bool:
    """Say whether the store accepted a row from that user, without the backend."""
    got = await outcome_of(context.harness.write_row_as(user, session, owner))
    context.history.note(
        f"… {user or 'nobody'} writes a row of {session.identity!r} with user_id {owner!r}: {describe(got)} …"
    )
    if isinstance(got, Exception) and (isinstance(got, StorageUnavailableError) or not isinstance(got, StorageError)):
        raise got
    return got is None


async def assert_refused(call: Awaitable[Any], *, doing: str) -> None:
    """Assert that the call raises :class:`StorageError`, and not because the store can't be reached."""
    got = await outcome_of(call)
    if isinstance(got, StorageUnavailableError) or not isinstance(got, StorageError):
        raise Violation(f"{doing} {describe(got)}", should="raise StorageError")


async def assert_finds_nothing(call: Awaitable[Any], empty: Any, *, doing: str) -> None:
    """Assert that the call is refused, or returns what it would for an empty store."""
    got = await outcome_of(call)
    if isinstance(got, StorageError) and not isinstance(got, StorageUnavailableError):
        return
    if got != empty:
        raise Violation(f"{doing} {describe(got)}", should="raise StorageError, or answer as if the store were empty")


async def assert_lists_exactly(store: RecordingBackend, user: str, expected: SessionData, *, after: str) -> None:
    """Assert that both listings of the user return this one session and no other."""
    ids = await store.get_identity_mcp_sessions(user)
    listed = await store.get_identity_sessions_data(user)
    strangers = [each.session_id for each in listed if each.session_id != expected.session_id]
    if strangers or ids != [expected.session_id] or len(listed) != 1:
        shown = sorted({*ids, *(each.session_id for each in listed)})
        raise Violation(f"after {after} the listings of the other user hold {shown}", should="hold their own alone")
    if found := difference(listed[0], expected):
        raise Violation(f"after {after} the listing of the other user returned {found}", should="hold it unchanged")


async def assert_keeps(store: RecordingBackend, session: SessionData, *, after: str) -> None:
    """Assert that the session exists unchanged."""
    seen = await store.get_session(session.identity, session.session_id)
    if found := difference(seen, session):
        raise Violation(f"after {after} get_session returned {found}", should="return the session as it was")


async def leave(store: RecordingBackend) -> None:
    """Close a handle that the rest of the test does not need."""
    with suppress(StorageError):
        await store.disconnect()
