"""What the security page says of the bundled stores is so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import flaw
from pytest_mcp_storage.engine.loop import SuiteLoop
from pytest_mcp_storage.harnesses.file import FileHarness
from pytest_mcp_storage.harnesses.folder import FolderHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from reference_backends import DecryptionError, SessionData
from reference_backends.maintenance.resealing import reseal

OLD, NEW = "0f" * 32, "f0" * 32
STORES = [FileHarness, SqliteHarness]


def session(number: int, **fields: Any) -> SessionData:
    required = {"server_url": "u", "transport_type": "sse", "callback_url": "c", "created_at": 0}
    return SessionData(**{"identity": "alice", "session_id": f"s{number}"} | required | fields)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def awaited() -> None:
        await work()

    loop = SuiteLoop()
    try:
        loop.run(awaited())
    finally:
        loop.close()


@pytest.mark.parametrize("store", STORES)
def test_nothing_of_the_clear_text_is_left_after_a_reseal(store: type[FolderHarness]) -> None:
    async def work() -> None:
        canaries = Canaries()
        async with store() as harness:
            plain = await harness.open()
            many = [session(number, **canaries.credentials("a session in clear")) for number in range(60)]
            for each in many:
                await plain.create_session(each)
            for each in many[::7]:
                await plain.remove_session("alice", each.session_id)
            assert canaries.found_in(await harness.stored_bytes())
            await plain.disconnect()
            sealed = await harness.open(encryption_key=NEW)
            for each in (await sealed.get_identity_sessions_data("alice"))[::2]:
                await sealed.update_session("alice", each.session_id, {"server_name": "n"})
            assert (await reseal(sealed)).complete
            assert canaries.found_in(await harness.stored_bytes()) == ""
            await sealed.disconnect()
            assert canaries.found_in(await harness.stored_bytes()) == ""

    run(work)


@pytest.mark.parametrize("store", STORES)
def test_a_reseal_frees_the_old_key(store: type[FolderHarness]) -> None:
    tokens, headers = {"access_token": "t"}, {"Authorization": "Bearer t"}

    async def work() -> None:
        async with store() as harness:
            before = await harness.open(encryption_key=OLD)
            await before.create_session(session(1, tokens=tokens, headers=headers, code_verifier="v"))
            await before.create_session(session(2, client_information={"client_secret": "s", "client_id": "c"}))
            await before.disconnect()
            both = await harness.open(encryption_key=[NEW, OLD])
            assert (await reseal(both)).complete
            await both.disconnect()
            for field, value in (("tokens", tokens), ("headers", headers)):
                assert flaw((await harness.stored_fields("alice", "s1"))[field], value, NEW) == ""
            after = await harness.open(encryption_key=NEW)
            seen = {each.session_id: each for each in await after.get_identity_sessions_data("alice")}
            await after.disconnect()
            assert (seen["s1"].tokens, seen["s1"].headers, seen["s1"].code_verifier) == (tokens, headers, "v")
            assert seen["s2"].client_information == {"client_secret": "s", "client_id": "c"}

    run(work)


@pytest.mark.parametrize("store", STORES)
def test_a_session_whose_key_is_lost_can_be_named_and_removed(store: type[FolderHarness]) -> None:
    async def work() -> None:
        async with store() as harness:
            before = await harness.open(encryption_key=OLD)
            await before.create_session(session(1, tokens={"access_token": "t"}))
            await before.disconnect()
            after = await harness.open(encryption_key=NEW)
            with pytest.raises(DecryptionError) as caught:
                await after.get_identity_sessions_data("alice")
            assert caught.value.session_id == "s1"
            assert await after.get_identity_mcp_sessions("alice") == ["s1"]
            await after.remove_session("alice", "s1")
            assert await after.get_identity_sessions_data("alice") == []
            await after.disconnect()

    run(work)
