"""EN · IVs: every write has a fresh one, on every handle and in every process."""

from __future__ import annotations

import re
from itertools import pairwise

from pytest_mcp_storage.canary.tampering import LABEL
from pytest_mcp_storage.engine.at_rest import row_of
from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.faults import Step, Worker
from pytest_mcp_storage.oracle.entropy import entropy
from pytest_mcp_storage.oracle.generators import CREDENTIALS
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.suite.test_mcp_encryption import CLIENT_SECRETS, envelope_of, guarded
from reference_backends import SessionData

SEALED = re.compile(rf"{LABEL}([0-9a-f]{{24}}):")
WRITES = 6
MANY_WRITES = 150
LEAST_IV_BITS = 64
"""Fewer random bits give a repetition within a few thousand million writes."""


@clause_test("EN-3", at_most=3, session=guarded)
async def test_no_iv_occurs_twice(context: TestContext, session: SessionData) -> None:
    if not context.one_store:
        context.leave_out("the IVs of two handles (needs SHARED or DURABLE)")
    session = session.model_copy(update={"code_verifier": "v", "client_information": {"client_secret": "s"}})
    before = {"tokens": session.tokens, "headers": session.headers}
    between = {"tokens": {"access_token": "between"}, "headers": {"x-name": "between"}}
    ivs: dict[str, str] = {}
    for handle in range(1, 3 if context.one_store else 2):
        store = await context.open(context.key, name=f"handle{handle}")
        for number in range(WRITES):
            each = session.model_copy(update={"session_id": f"{handle}.{number}.{session.session_id}"})
            await store.create_session(each)
            await _assert_new_ivs(context, each, ivs, f"create {number} of handle {handle}")
            await _assert_new_ivs_of_the_client(context, each, ivs, f"create {number} of handle {handle}")
            for update, named in (("update", between), ("update back", before)):
                await store.update_session(each.identity, each.session_id, named)
                await _assert_new_ivs(context, each, ivs, f"{update} {number} of handle {handle}")
            await store.remove_session(each.identity, each.session_id)
            await store.create_session(each.model_copy(update=between))
            await _assert_new_ivs(context, each, ivs, f"create anew {number} of handle {handle}")
        if not context.can(Capability.SHARED):
            await store.disconnect()


@clause_test("EN-3", at_most=1, session=guarded)
async def test_no_iv_occurs_twice_in_many_writes(context: TestContext, session: SessionData) -> None:
    """Write more often than a byte counts, on one handle and across its second ``init``."""
    name = session.identity, session.session_id
    store = await context.open(context.key)
    await store.create_session(session)
    ivs: list[str] = []
    for number in range(2 * MANY_WRITES):
        if number == MANY_WRITES:
            await store.init()
        await store.backend.update_session(*name, {"tokens": {"access_token": "t"}})
        ivs.append((await envelope_of(context, session, "tokens")).iv)
    context.history.note(f"… update_session of tokens, {len(ivs)} times …")
    if len(set(ivs)) < len(ivs):
        raise Violation(f"{len(ivs)} writes have {len(set(ivs))} different IVs", should="have a fresh IV each")
    bits = sum(entropy([iv[place] for iv in ivs]) for place in range(24))
    if bits < LEAST_IV_BITS and not _is_counted(ivs):
        raise Violation(
            f"{len(ivs)} IVs show {bits:.0f} random bits, position by position",
            should=f"have {LEAST_IV_BITS} at least, or count",
        )


def _is_counted(ivs: list[str]) -> bool:
    """Return if the IVs are a counter: each is above the one before, read from one end or the other."""
    for numbers in ([int(iv, 16) for iv in ivs], [int.from_bytes(bytes.fromhex(iv), "little") for iv in ivs]):
        half = len(numbers) // 2
        if all(one < other for part in (numbers[:half], numbers[half:]) for one, other in pairwise(part)):
            return True
    return False


@clause_test("EN-3", needs=[Capability.CRASH], at_most=1, session=guarded)
async def test_no_iv_occurs_twice_across_processes(context: TestContext, session: SessionData) -> None:
    ivs: dict[str, str] = {}
    now = context.now() if context.can(Capability.CLOCK) else None
    for process in range(1, 3):
        many = [
            session.model_copy(update={"session_id": f"{process}.{number}.{session.session_id}"})
            for number in range(WRITES)
        ]
        plan = [Step("create_session", (each,)) for each in many]
        async with Worker(
            context.harness, plan, name=f"process{process}", encryption_key=context.key, now=now
        ) as worker:
            worker.go()
            context.history.entries += [call async for call in worker]
        for number, each in enumerate(many):
            await _assert_new_ivs(context, each, ivs, f"create {number} of process {process}")


async def _assert_new_ivs(context: TestContext, session: SessionData, ivs: dict[str, str], write: str) -> None:
    for field in CREDENTIALS:
        envelope = await envelope_of(context, session, field)
        _assert_new(envelope.iv, ivs, f"{field} of {write}")


async def _assert_new_ivs_of_the_client(
    context: TestContext, session: SessionData, ivs: dict[str, str], write: str
) -> None:
    """Judge the same for what EN-11 asks to seal, if the store does so."""
    stored = await row_of(context, session)
    for field in CLIENT_SECRETS:
        for iv in SEALED.findall(str(stored[field])):
            _assert_new(iv, ivs, f"{field} of {write}")


def _assert_new(iv: str, ivs: dict[str, str], of: str) -> None:
    if iv in ivs:
        raise Violation(f"the IV of {of} is that of {ivs[iv]}", should="be a fresh one")
    ivs[iv] = of
