"""A user of the server with few rights: the least that the store needs, and each missing right."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from reference_backends import RedisStorageBackend, StorageSetupError
from reference_backends.redis import scripts
from tests.reference_backends.redis.conftest import KEY, Open, ask, session

RULES = ["~mcp-storage:*", "+eval", "+evalsha", *(f"+{command.lower()}" for command in scripts.COMMANDS)]


async def user(server: RedisServer, client: Redis, rules: list[str]) -> Redis:
    await ask(client, "ACL SETUSER", "app", "reset", "on", ">secret", *rules)
    return Redis(port=urlsplit(server.url).port or 0, username="app", password="secret")


def test_the_docs_name_the_least_rights() -> None:
    page = Path(__file__).parents[3].joinpath("docs/stores.md").read_text(encoding="utf-8")
    (rule,) = re.findall(r"ACL SETUSER app on >PASSWORD ((?:[^\n]|\n {4,})+)\n", page)
    assert sorted(rule.split()) == sorted(RULES)


def test_every_command_of_a_script_is_known_and_tried() -> None:
    sources = [each.body for each in vars(scripts).values() if isinstance(each, scripts.Script)]
    shared = scripts.CREATE.source.decode().removesuffix(scripts.CREATE.body)
    called = {name for source in (*sources, shared) for name in re.findall(r"redis\.p?call\('(\w+)'", source)}
    tried = set(re.findall(r"\btry\('(\w+)'", scripts.TRY.body))
    assert called | {"SCAN"} == tried == set(scripts.COMMANDS)


async def test_the_whole_store_works_with_the_least_rights(server: RedisServer, client: Redis, opened: Open) -> None:
    allowed = await user(server, client, RULES)
    plain = await opened(allowed)
    await plain.create_session(session("old", tokens={"a": "b"}))
    backend = await opened(allowed, encryption_key=KEY)
    await backend.update_session("alice", "old", {"active": True})
    await backend.create_session(session("s1"), ttl=100)
    await backend.update_session("alice", "s1", {"active": True, "server_id": None}, ttl=50)
    assert await backend.get_session("alice", "s1") == session("s1", active=True)
    assert len(await backend.get_identity_sessions_data("alice")) == 2
    await backend.remove_session("alice", "s1")
    assert await backend.get_identity_mcp_sessions("alice") == await backend.get_all_session_ids() == ["old"]
    injected = await opened(allowed, clock=lambda: 1000.0)
    await injected.create_session(session("s2"), ttl=1)
    await injected.update_session("alice", "s2", {}, ttl=2)
    await backend.cleanup_expired_sessions()
    assert await client.exists("mcp-storage:{alice}:session:s2") == 0
    await backend.create_session(session("s2"), ttl=100)
    await backend.clear_all()
    assert await client.dbsize() == 0


@pytest.mark.parametrize("command", ["eval", "evalsha", *map(str.lower, scripts.COMMANDS)])
async def test_a_right_that_is_missing_is_named_at_the_start(
    server: RedisServer, client: Redis, opened: Open, command: str
) -> None:
    await (await opened(client)).create_session(session())  # the server knows the scripts
    backend = RedisStorageBackend(await user(server, client, [*RULES, f"-{command}"]))
    with pytest.raises(StorageSetupError, match=r"forbids this user .*NOPERM") as raised:
        await backend.init()
    assert command.startswith("eval") or f"+{command} " in str(raised.value)
    await backend.disconnect()
    assert sorted(await client.keys()) == [b"mcp-storage:{alice}:session:s1", b"mcp-storage:{alice}:sessions"]


@pytest.mark.parametrize(
    "keys", ["~other:*", "~mcp-storage:*:sessions", "~mcp-storage:*:session:*", "%R~mcp-storage:*", "%W~mcp-storage:*"]
)
async def test_keys_that_are_missing_are_reported_at_the_start(server: RedisServer, client: Redis, keys: str) -> None:
    backend = RedisStorageBackend(await user(server, client, [keys, *RULES[1:]]))
    with pytest.raises(StorageSetupError, match=r"forbids this user .*NOPERM"):
        await backend.init()
    await backend.disconnect()


async def test_rights_that_are_lost_later_are_reported(server: RedisServer, client: Redis, opened: Open) -> None:
    backend = await opened(await user(server, client, RULES))
    await backend.create_session(session())
    await ask(client, "ACL SETUSER", "app", "-unlink")
    with pytest.raises(StorageSetupError, match=r"forbids this user .*NOPERM"):
        await backend.remove_session("alice", "s1")


async def test_a_full_server_is_no_matter_of_rights(server: RedisServer, client: Redis, opened: Open) -> None:
    """Stored sessions can still be read."""
    await (await opened(client)).create_session(session())
    await client.config_set("maxmemory", 1)
    assert await (await opened(client)).get_session("alice", "s1") == session()
    await client.config_set("maxmemory", 0)
