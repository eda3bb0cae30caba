"""``reseal`` on the Redis store seals every session under the first key and keeps its remaining TTL."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from reference_backends import RedisStorageBackend
from reference_backends.maintenance.resealing import reseal
from reference_backends.redis import scripts
from tests.reference_backends.redis.conftest import KEY, Open, session

OLD, THIRD = "1" * 64, "3" * 64
SECRETS: dict[str, Any] = {
    "tokens": {"a": "s3cr3t"},
    "headers": {"A": "s3cr3t"},
    "code_verifier": "s3cr3t",
    "client_information": {"client_secret": "s3cr3t"},
}


async def everything(client: Redis) -> dict[bytes, Any]:
    return {key: await client.hgetall(key) for key in await client.keys("*:session:*")}  # type: ignore[misc]


async def test_every_session_is_under_the_first_key_and_ends_when_it_would(client: Redis, opened: Open) -> None:
    now = [1_800_000_000.0]
    clock = {"clock": lambda: now[0]}
    plain, old = await opened(client, **clock), await opened(client, encryption_key=OLD, **clock)
    odd = "a:{b}%\u00e9 *"
    await plain.create_session(session("s1", odd, **SECRETS), ttl=100)
    await old.create_session(session("s2", odd, **SECRETS), ttl=200)
    await (await opened(client, encryption_key=KEY, **clock)).create_session(session("s3", **SECRETS), ttl=300)
    both = await opened(client, encryption_key=[KEY, OLD], **clock)
    before = await everything(client)
    context = await reseal(both, dry_run=True)
    assert (context.sealed, context.current, await everything(client)) == (2, 1, before)
    now[0] += 50
    result = await reseal(both)
    assert (result.sealed, result.current, result.complete) == (2, 1, True)
    assert "BGREWRITEAOF" in result.to_do
    assert b"s3cr3t" not in repr(await everything(client)).encode()
    assert (await reseal(both)).current == 3
    alone = await opened(client, encryption_key=KEY, **clock)
    assert await alone.get_session(odd, "s1") == session("s1", odd, **SECRETS)
    assert await alone.get_session(odd, "s2") == session("s2", odd, **SECRETS)
    for moment, left in ((100, ["s2", "s3"]), (200, ["s3"]), (300, [])):
        now[0] = 1_800_000_000.0 + moment
        assert sorted(await alone.get_all_session_ids()) == left


async def test_what_no_key_opens_is_named_and_left_as_it_is(client: Redis, opened: Open) -> None:
    await (await opened(client, encryption_key=THIRD)).create_session(session("s1", **SECRETS))
    before = await everything(client)
    result = await reseal(await opened(client, encryption_key=[KEY, OLD]))
    assert list(result.refused) == [("alice", "s1")]
    assert await everything(client) == before


async def test_what_changes_between_reading_and_sealing_stays_changed(
    client: Redis, opened: Open, monkeypatch: Any
) -> None:
    """Another handle updates, then removes, the session that is being sealed."""
    old = await opened(client, encryption_key=OLD)
    await old.create_session(session("s1", tokens={"a": "old"}))
    await old.create_session(session("s2", tokens={"a": "old"}))
    both = await opened(client, encryption_key=[KEY, OLD])
    run = RedisStorageBackend._run

    async def interfering(self: RedisStorageBackend, script: scripts.Script, *arguments: Any) -> Any:
        if script is scripts.SEAL:
            monkeypatch.setattr(RedisStorageBackend, "_run", run)
            if sealing == "s1":
                await old.update_session("alice", "s1", {"tokens": {"a": "new"}})
            else:
                await old.remove_session("alice", "s2")
        return await run(self, script, *arguments)

    for sealing, answer in (("s1", True), ("s2", None)):
        monkeypatch.setattr(RedisStorageBackend, "_run", interfering)
        assert await both.reseal_session("alice", sealing) is answer
    alone = await opened(client, encryption_key=KEY)
    assert await alone.get_identity_sessions_data("alice") == [session("s1", tokens={"a": "new"})]
