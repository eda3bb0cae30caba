"""EN · keys: what is not a key is refused when the store is opened, and never repaired."""

from __future__ import annotations

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.violation import Violation, assert_raises
from pytest_mcp_storage.oracle.generators import CREDENTIALS, sessions, texts
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import short_repr
from reference_backends import ConfigurationError, SessionData

NO_KEYS = (
    "", "my-passphrase", "0" * 63, "0" * 65, "z" * 64, "a" * 32 + "z" * 32, "é" * 64, "０" * 64, "0" * 64 + "\n",
    " " + "0" * 63, " " + "0" * 64, "0" * 64 + " ", "00 " * 32, '"' + "0" * 64 + '"', "0x" + "0" * 62, "0x" + "0" * 64,
    "0_" * 32, "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=", "thirty-two characters, like this",
    "0" * 16, "0" * 32, "0" * 48, "0" * 128,
)  # fmt: skip


@clause_test("EN-8", at_most=1)
async def test_what_only_resembles_a_key_is_refused(context: TestContext) -> None:
    for bad in NO_KEYS:
        await _assert_refuses_the_key(context, bad)


@clause_test("EN-8", bad=texts(70).filter(lambda text: not _is_key(text)))
async def test_no_text_but_a_key_is_taken_for_one(context: TestContext, bad: str) -> None:
    await _assert_refuses_the_key(context, bad)


async def _assert_refuses_the_key(context: TestContext, bad: str) -> None:
    one, other = context.key, context.other_key
    for keys, which in (
        ((bad,), "the key"),
        ((bad, one), "the first key"),
        ((one, bad), "the second key"),
        ((one, bad, other), "the middle key"),
    ):
        await assert_raises(
            ConfigurationError, context.open(*keys), doing=f"opening with {which} {short_repr(bad, 80)}"
        )


@clause_test("EN-8", at_most=4, session=sessions(**CREDENTIALS))
async def test_a_key_may_be_in_capitals(context: TestContext, session: SessionData) -> None:
    await (await context.holder(context.key.upper())).create_session(session)
    reader = await context.holder(context.key if context.one_store else context.key.upper())
    if found := difference(await reader.get_session(session.identity, session.session_id), session):
        raise Violation(f"with the same key in lower case get_session returned {found}", should="read the session")


def _is_key(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdefABCDEF")
