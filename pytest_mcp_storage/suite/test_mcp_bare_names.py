"""RT, ID · bare names: every name of the catalogue, whole, as identity and as session id of one store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.bulk_create import create_many
from pytest_mcp_storage.oracle.generators import ABSENT, sessions
from pytest_mcp_storage.oracle.name_catalogue import BARE_NAMES, JOINED, RISKY_NAMES
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import SessionData, SessionExistsError

SHIFT = 7
"""How far the names of a pair are apart in the catalogue, so that they are of the same kind or the next."""


@clause_test("RT-3", at_most=1, unmarked=True, session=sessions())
async def test_every_bare_name_can_be_used(context: TestContext, session: SessionData) -> None:
    """Use each name for both parts: a store may refuse a session id that another identity has, and these differ."""
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        for name in _names(context):
            one = _named(session, (name, name))
            await store.create_session(one)
            if found := difference(await store.get_session(name, name), one):
                raise Violation(f"get_session{(name, name)} returned {found}", should="return the session")
        await store.disconnect()


@clause_test("ID-3", at_most=1, unmarked=True, session=sessions())
async def test_bare_names_are_kept_apart(context: TestContext, session: SessionData) -> None:
    """Keep every name in one store, as identity and as session id at once: names that a store treats as one collide."""
    shifted = [*BARE_NAMES[SHIFT:], *BARE_NAMES[:SHIFT]]
    chain = [*zip(BARE_NAMES, shifted, strict=True)]
    swapped = [pair for one, other in _disjoint(context, BARE_NAMES) for pair in ((one, other), (other, one))]
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        context.notes.append(f"tried {len(BARE_NAMES)} bare names, each as identity and as session id, in one store")
        for names in (chain, swapped, JOINED[:: 2 if context.tier.name == "smoke" else 1]):
            await _assert_kept_apart(store, session, names)
        await store.disconnect()


@clause_test("ID-2", at_most=1, unmarked=True, session=sessions())
async def test_bare_names_are_all_listed(context: TestContext, session: SessionData) -> None:
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        names = _names(context)
        for name in names:
            await store.create_session(_named(session, ("alice", name)))
        listed = await store.get_identity_mcp_sessions("alice")
        if sorted(listed) != sorted(names):
            wrong = sorted({*listed} ^ {*names})
            raise Violation(f"the listing of {len(names)} ids is wrong in {short_repr(wrong)}", should="be exact")
        await store.disconnect()


@clause_test("ID-5", at_most=1, unmarked=True, session=sessions())
async def test_no_bare_name_reads_anothers_session(context: TestContext, session: SessionData) -> None:
    """Ask for each session by other identities, and by its names exchanged and doubled."""
    names = _names(context)
    pairs = [*zip(names, [*names[SHIFT:], *names[:SHIFT]], strict=True)]
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        for name in pairs:
            await store.create_session(_named(session, name))
        for place, (one, other) in enumerate(pairs):
            strange = (
                ("alice", other),
                (pairs[place - 1][0], other),
                ((other, one), (one, one), (other, other))[place % 3],
            )
            for name in strange:
                if name not in pairs and (seen := await store.get_session(*name)) is not None:
                    raise Violation(f"get_session{name} returned {short_repr(seen)}", should="return None")
        await store.disconnect()


def _names(context: TestContext) -> Sequence[str]:
    return RISKY_NAMES if context.tier.name == "smoke" else BARE_NAMES


def _disjoint(context: TestContext, names: Sequence[str]) -> list[SessionKey]:
    """Return pairs of neighbouring names, each name in one of them; every third pair at smoke."""
    pairs = [*zip(names[::2], names[1::2], strict=False)]
    return pairs[:: 3 if context.tier.name == "smoke" else 1]


def _named(session: SessionData, name: SessionKey) -> SessionData:
    return session.model_copy(update={**ABSENT, "identity": name[0], "session_id": name[1], "server_id": repr(name)})


async def _assert_kept_apart(store: RecordingBackend, session: SessionData, names: Iterable[SessionKey]) -> None:
    """Create a session under each of the names; assert that each is read, listed, changed and removed alone."""
    live: dict[SessionKey, SessionData] = {}
    for name in names:
        one = _named(session, name)
        got = await outcome_of(store.create_session(one))
        if isinstance(got, SessionExistsError) and any(each[1] == name[1] for each in live):
            continue  # ID-4 lets a store refuse the id that another identity has
        if isinstance(got, Exception):
            raise got
        live[name] = one
    for place, name in enumerate(list(live)):
        if place % 3 == 0:
            await store.remove_session(*name)
            del live[name]
        elif place % 3 == 1:
            await store.update_session(*name, {"server_name": "updated"})
            live[name] = live[name].model_copy(update={"server_name": "updated"})
    await _assert_reads(store, live)
    for name in live:
        await store.remove_session(*name)


async def _assert_reads(store: RecordingBackend, live: dict[SessionKey, SessionData]) -> None:
    """Assert that each session is read by its names, and that the listing of its identity is exact."""
    owners: dict[str, list[str]] = {}
    for identity, session_id in live:
        owners.setdefault(identity, []).append(session_id)
    for place, (identity, ids) in enumerate(owners.items()):
        if place % 2:
            listed = await store.get_identity_mcp_sessions(identity)
        else:
            data = await store.get_identity_sessions_data(identity)
            listed = [each.session_id for each in data]
            for each in data:
                expected = live.get((identity, each.session_id))
                if expected is not None and (found := difference(each, expected)):
                    raise Violation(f"the listing of {identity!r} returned {found}", should="return its own session")
        if sorted(listed) != sorted(ids):
            raise Violation(
                f"{identity!r} lists {short_repr(sorted(listed))}", should=f"list {short_repr(sorted(ids))}"
            )
        for name in ((identity, each) for each in ids):
            if found := difference(await store.get_session(*name), live[name]):
                raise Violation(f"get_session{name} returned {found}", should="return that name's session")


@clause_test("ID-7", at_most=1, session=sessions())
async def test_all_ids_are_complete_over_many_identities(context: TestContext, session: SessionData) -> None:
    """List many ids, most of them of another identity each."""
    store = await context.store()
    before = set(await store.get_all_session_ids())
    count = 300 if context.tier.name == "smoke" else context.tier.listed
    many = await create_many(context, store, session, 9 * count // 10, identities=True)
    many += await create_many(context, store, session, count // 10)
    seen = [each for each in await store.get_all_session_ids() if each not in before]
    if sorted(seen) != sorted(each.session_id for each in many):
        found = f"{len(seen)} new ids, {len(set(seen))} of them different"
        raise Violation(f"get_all_session_ids returned {found}", should=f"be all {len(many)}, each once")
