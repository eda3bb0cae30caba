"""ID · names and counts that the store's own source names."""

from __future__ import annotations

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.assertions import ids_of
from pytest_mcp_storage.oracle.bulk_create import MORE_THAN_A_SMALL_PAGE, create_many
from pytest_mcp_storage.oracle.edge_texts import joined_by, of_length
from pytest_mcp_storage.oracle.generators import sessions
from pytest_mcp_storage.oracle.limits import LONGEST_NAME
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.suite.test_mcp_identity import keep_apart
from reference_backends import SessionData


@clause_test("ID-3", at_most=1, template=sessions())
async def test_names_that_the_source_names_are_kept_apart(context: TestContext, template: SessionData) -> None:
    pairs = [pair for text in context.constants.texts if not text.isidentifier() for pair in joined_by(text)]
    for length in context.constants.around(2, LONGEST_NAME - 40):
        one, other = of_length(length - 1) + "a", of_length(length - 1) + "b"
        pairs += [((one, "s"), (other, "s2")), (("alice", one), ("alice", other))]
    for pair in context.in_filling_time(pairs, "pairs of names around what the source names"):
        context.begin()
        await keep_apart(context, [(context.identity(one), context.session_id(other)) for one, other in pair], template)


@clause_test("ID-3", at_most=1, unmarked=True, template=sessions())
async def test_whole_names_that_the_source_names_are_kept_apart(context: TestContext, template: SessionData) -> None:
    """Use a separate store and no example mark: a store may compare a whole name."""
    async with context.another_store() as harness:
        store = await context.open(*context.usual_keys, name="another_store", harness=harness)
        names = [(text, f"s{number}") for number, text in enumerate(context.constants.texts)]
        names += [(f"i{number}", text) for number, text in enumerate(context.constants.texts)]
        created = []
        for identity, session_id in context.in_filling_time(names, "names of the source"):
            update = {"identity": identity, "session_id": session_id, "server_name": f"{identity} {session_id}"}
            session = template.model_copy(update=update)
            await store.create_session(session)
            if found := difference(await store.get_session(identity, session_id), session):
                raise Violation(
                    f"get_session({identity!r}, {session_id!r}) returned {found}", should="find the session"
                )
            created.append((identity, session_id))
        for identity, session_id in created:
            if (ids := await store.get_identity_mcp_sessions(identity)) != [session_id]:
                raise Violation(f"{identity!r} lists {ids}", should=f"list {[session_id]}")


@clause_test("ID-6", at_most=1, session=sessions())
async def test_listings_are_complete_at_counts_that_the_source_names(
    context: TestContext, session: SessionData
) -> None:
    store = await context.store()
    identity = session.identity
    created: set[str] = set()
    counts = context.constants.around(2, context.tier.listed)
    for count in context.in_filling_time(counts, "counts of sessions that the source names"):
        least = max(0, MORE_THAN_A_SMALL_PAGE - len(created))
        more = await create_many(context, store, session, count - len(created), first=len(created), least=least)
        created |= {each.session_id for each in more}
        if len(created) < count:
            break
        for method in (store.get_identity_mcp_sessions, store.get_identity_sessions_data):
            ids = ids_of(await method(identity))
            if sorted(ids) != sorted(created):
                found = f"{len(ids)} sessions, {len(set(ids))} of them different"
                raise Violation(f"{method.__name__} returned {found}", should=f"be all {count}, each once")
