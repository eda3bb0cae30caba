"""``reseal`` on the file and the SQLite store seals every session under the first key and changes nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reference_backends import (
    ConfigurationError,
    DecryptionError,
    MemoryStorageBackend,
    SessionNotFoundError,
    StorageUnavailableError,
)
from reference_backends.maintenance.resealing import AT_ONCE, Resealing, reseal
from tests.reference_backends.embedded.conftest import Build, Open, SetClock

SECRET = "s3cr3t-canary"
THIRD = "3" * 64


async def filled(build: Open, session: Build, clock: SetClock, *keys: str | None) -> None:
    """Store one session in each form, with a TTL of 100 s, 200 s and so on."""
    for number, key in enumerate(keys, start=1):
        backend = build(encryption_key=key, clock=clock)
        await backend.init()
        secrets = {"tokens": {"a": SECRET}, "headers": {"A": SECRET}, "code_verifier": SECRET}
        fields = {**secrets, "client_information": {"client_secret": SECRET, "client_id": "c"}}
        await backend.create_session(session(f"s{number}", **fields), ttl=100 * number)
        await backend.disconnect()


def test_every_session_is_under_the_first_key_and_ends_when_it_would(
    build: Open, path: Path, session: Build, key: str, other_key: str
) -> None:
    clock = SetClock()
    begun = clock.now

    async def scenario() -> None:
        await filled(build, session, clock, None, other_key, key)
        clock.now += 50
        both = build(encryption_key=[key, other_key], clock=clock)
        await both.init()
        before = await both.get_identity_sessions_data("alice")
        seen: list[tuple[int, int]] = []
        context = await reseal(both, dry_run=True)
        assert (context.sealed, context.current) == (2, 1)
        stored = path.read_bytes()
        assert await reseal(both, dry_run=True) == context
        assert path.read_bytes() == stored
        result = await reseal(both, progress=lambda done, total: seen.append((done, total)))
        assert result == Resealing(sealed=2, current=1)
        assert seen == [(0, 3), (3, 3)]
        assert (await reseal(both)).current == 3
        await both.disconnect()
        alone = build(encryption_key=key, clock=clock)
        await alone.init()
        assert await alone.get_identity_sessions_data("alice") == before
        for number, left in ((1, ["s2", "s3"]), (2, ["s3"]), (3, [])):
            clock.now = begun + 100 * number
            assert sorted(await alone.get_identity_mcp_sessions("alice")) == left
        await alone.disconnect()
        assert all(SECRET.encode() not in file.read_bytes() for file in path.parent.iterdir())

    asyncio.run(scenario())


def test_what_no_key_opens_is_named_and_left_as_it_is(build: Open, session: Build, key: str, other_key: str) -> None:
    clock = SetClock()

    async def scenario() -> None:
        await filled(build, session, clock, None, THIRD, other_key)
        both = build(encryption_key=[key, other_key], clock=clock)
        await both.init()
        result = await reseal(both)
        assert (result.sealed, result.complete, list(result.refused)) == (2, False, [("alice", "s2")])
        assert "cannot be decrypted" in result.refused["alice", "s2"]
        assert SECRET not in repr(result)
        with pytest.raises(DecryptionError):
            await both.get_session("alice", "s2")
        await both.disconnect()
        third = build(encryption_key=[THIRD, key], clock=clock)
        await third.init()
        assert len(await third.get_identity_sessions_data("alice")) == 3
        await third.disconnect()

    asyncio.run(scenario())


def test_what_ends_meanwhile_stays_ended(build: Open, session: Build, key: str) -> None:
    clock = SetClock()

    async def scenario() -> None:
        await filled(build, session, clock, None, None, None)
        backend = build(encryption_key=key, clock=clock)
        await backend.init()
        names = await backend.session_names()
        await backend.remove_session("alice", "s2")
        clock.now += 150
        assert [await backend.reseal_session(*name) for name in names] == [None, None, True]
        assert await backend.get_all_session_ids() == ["s3"]
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("alice", "s1", {})
        await backend.disconnect()

    asyncio.run(scenario())


def test_what_changes_meanwhile_stays_changed(build: Open, session: Build, key: str, other_key: str) -> None:
    """Of two handles one reseals, and one continues to write under the old key and the new one."""

    async def scenario() -> None:
        old = build(encryption_key=[other_key, key])
        both = build(encryption_key=[key, other_key])
        await old.init()
        await both.init()
        count = 2 * AT_ONCE + 1
        for number in range(count):
            await old.create_session(session(f"s{number}", tokens={"a": "old"}))

        async def others() -> None:
            for number in range(count):
                await old.update_session("alice", f"s{number}", {"tokens": {"a": f"new {number}"}}, ttl=1000)

        result, _ = await asyncio.gather(reseal(both), others())
        assert result.sealed + result.current == count
        found = {each.session_id: each.tokens for each in await both.get_identity_sessions_data("alice")}
        assert found == {f"s{number}": {"a": f"new {number}"} for number in range(count)}
        await reseal(both)
        alone = build(encryption_key=key)
        await alone.init()
        assert len(await alone.get_identity_sessions_data("alice")) == count
        for each in (old, both, alone):
            await each.disconnect()

    asyncio.run(scenario())


def test_it_may_be_interrupted_and_run_again(build: Open, session: Build, key: str) -> None:
    async def scenario() -> None:
        plain = build()
        await plain.init()
        count = 3 * AT_ONCE
        await asyncio.gather(*(plain.create_session(session(f"s{number}", tokens={})) for number in range(count)))
        await plain.disconnect()
        keyed = build(encryption_key=key)
        await keyed.init()

        def interrupt(done: int, _: int) -> None:
            if done == AT_ONCE:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await reseal(keyed, progress=interrupt)
        result = await reseal(keyed)
        assert (result.sealed, result.current) == (2 * AT_ONCE, AT_ONCE)
        await keyed.disconnect()

    asyncio.run(scenario())


def test_an_outage_is_raised(build: Open, path: Path, session: Build, key: str) -> None:
    async def scenario() -> None:
        backend = build(encryption_key=key)
        await backend.init()
        await backend.create_session(session())
        path.parent.rename(path.parent.with_name("away"))
        with pytest.raises(StorageUnavailableError):
            await reseal(backend)
        path.parent.with_name("away").rename(path.parent)
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_without_key_and_one_in_memory_are_refused(build: Open, key: str) -> None:
    async def scenario() -> None:
        plain = build()
        await plain.init()
        with pytest.raises(ConfigurationError, match="no encryption key"):
            await reseal(plain)
        await plain.disconnect()
        with pytest.raises(ConfigurationError, match="ends with its process"):
            await reseal(MemoryStorageBackend(encryption_key=key))

    asyncio.run(scenario())
