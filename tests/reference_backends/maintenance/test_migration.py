"""From upstream's keys to a store: nothing is lost, done twice, or removed before it was read back."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pytest_mcp_storage.commands.migrate import migrate as command
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import FileStorageBackend, MemoryStorageBackend, RedisStorageBackend, SessionData
from reference_backends.core.errors import ConfigurationError, StorageError, StorageUnavailableError
from reference_backends.maintenance import migration
from reference_backends.maintenance.migration import migrate

Make = Callable[..., SessionData]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with redis_server(environ={}) as server:
        yield server.url


@pytest.fixture
async def source(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as client:
        yield client


async def plant(source: Redis, session: SessionData, ttl: int | None = 1000) -> str:
    """Store a session as upstream does."""
    key = f"mcp:session:{session.identity}:{session.session_id}"
    await source.set(key, session.model_dump_json(by_alias=True, exclude_none=True), ex=ttl)
    await source.sadd(f"mcp:identity:{session.identity}:sessions", session.session_id)
    return key


async def opened(**options: Any) -> MemoryStorageBackend:
    backend = MemoryStorageBackend(**options)
    await backend.init()
    return backend


async def test_sessions_arrive_whole_with_the_time_that_they_have_left(source: Redis, session: Make, key: str) -> None:
    now = [0.0]
    target = await opened(clock=lambda: now[0], encryption_key=key)
    rich = session(
        "s:1", "a:b*?[é", tokens={"list": [], "n": 1.5}, headers={"a": "\U0001f600"}, active=False, code_verifier="v"
    )
    await plant(source, rich, ttl=1000)
    await plant(source, session("s2"), ttl=10)
    await plant(source, session("s3"), ttl=None)
    result = await migrate(source, target)
    assert (result.created, result.already_there, result.removed, result.complete) == (3, 0, 0, True)
    assert await target.get_session("a:b*?[é", "s:1") == rich
    now[0] = 11
    assert sorted(await target.get_all_session_ids()) == ["s3", "s:1"], "s2 had 10 s left"
    now[0] = 1001
    assert await target.get_all_session_ids() == ["s3"], "a key that never expires gets the default TTL"
    assert await source.dbsize() == 5, "the source is left as it was"


async def test_running_it_again_changes_nothing(source: Redis, session: Make) -> None:
    target = await opened()
    await plant(source, session())
    await plant(source, session("s2"))
    await migrate(source, target)
    await target.update_session("alice", "s2", {"server_name": "changed here since"})
    again = await migrate(source, target, move=True)
    assert (again.created, again.already_there, again.removed) == (0, 1, 1)
    assert again.refused == {"mcp:session:alice:s2": "the target has another session of this id"}
    assert [text async for text in _keys(source)] == ["mcp:identity:alice:sessions", "mcp:session:alice:s2"]
    seen = await target.get_session("alice", "s2")
    assert seen is not None
    assert seen.server_name == "changed here since"


async def test_more_than_a_page_arrives(source: Redis, session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "PAGE", 10)
    target = await opened()
    for number in range(101):
        await plant(source, session(f"s{number}", f"u{number % 7}"))
    result = await migrate(source, target, move=True)
    assert (result.created, result.removed) == (101, 101)
    assert len(await target.get_all_session_ids()) == 101
    assert await source.dbsize() == 0


async def test_a_dry_run_writes_nothing(source: Redis, session: Make) -> None:
    target = await opened()
    await plant(source, session())
    result = await migrate(source, target, move=True, dry_run=True)
    assert (result.created, result.removed) == (1, 0)
    assert await target.get_all_session_ids() == []
    assert await source.dbsize() == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (b"\xff", "not JSON"),
        ('{"sessionId": "s", "identity": "u"}', "the session is not valid"),
        (None, "another identity or session id than the key"),
    ],
)
async def test_a_key_without_a_session_is_not_copied_and_is_reported(
    source: Redis, session: Make, text: str | bytes | None, reason: str
) -> None:
    target = await opened()
    await source.set("mcp:session:u:s", text or session(tokens={"t": "secret"}).model_dump_json(by_alias=True))
    await plant(source, session("s2"))
    await source.sadd("mcp:session:of another kind", "x")
    result = await migrate(source, target, move=True)
    assert (result.created, result.removed) == (1, 1)
    assert reason in result.refused["mcp:session:u:s"]
    assert result.refused["mcp:session:of another kind"] == "its value is not text"
    assert "secret" not in str(result)
    assert await source.exists("mcp:session:u:s")


async def test_nothing_is_removed_that_changed_since_it_was_read(source: Redis, session: Make) -> None:
    class Meddled(MemoryStorageBackend):
        """Write another session to the source, as upstream would, during each create."""

        async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
            await super().create_session(session, ttl)
            await plant(source, session.model_copy(update={"server_name": "later"}))

    target = Meddled()
    await target.init()
    await plant(source, session())
    result = await migrate(source, target, move=True)
    assert (result.created, result.removed) == (1, 0)
    assert b'"serverName":"later"' in (await source.get("mcp:session:alice:s1") or b"")


async def test_nothing_is_removed_that_the_target_did_not_keep(source: Redis, session: Make) -> None:
    class Forgetful(MemoryStorageBackend):
        async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
            pass

    target = Forgetful()
    await target.init()
    await plant(source, session())
    with pytest.raises(StorageError, match="did not keep"):
        await migrate(source, target, move=True)
    assert await source.dbsize() == 2


async def test_one_that_the_target_cannot_read_stays_behind_alone(
    source: Redis, session: Make, tmp_path: Path, key: str, other_key: str
) -> None:
    for name in ("s0", "s1", "s2"):
        await plant(source, session(name, tokens={"access_token": "here"}))
    rotated = FileStorageBackend(tmp_path / "sessions.json", encryption_key=other_key)
    await rotated.init()
    await rotated.create_session(session("s1", tokens={"access_token": "there"}))
    await rotated.disconnect()
    target = FileStorageBackend(tmp_path / "sessions.json", encryption_key=key)
    await target.init()
    result = await migrate(source, target)
    assert result.created == 2
    assert {name: "cannot be read" in reason for name, reason in result.refused.items()} == {
        "mcp:session:alice:s1": True
    }
    await target.disconnect()


async def test_a_session_that_expires_on_its_way_ends_nothing(source: Redis, session: Make) -> None:
    class Slow(MemoryStorageBackend):
        async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
            await super().create_session(session, ttl)
            while await self.get_session("alice", "last breath"):  # noqa: ASYNC110
                await asyncio.sleep(0)

    target = Slow()
    await target.init()
    key = await plant(source, session("last breath"))
    await source.pexpire(key, 500)
    await plant(source, session())
    result = await migrate(source, target)
    assert result.complete
    assert await target.get_all_session_ids() == ["s1"]


async def test_a_source_that_is_away_is_an_error() -> None:
    target = await opened()
    async with Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as nobody:
        with pytest.raises(StorageUnavailableError, match="upstream's sessions"):
            await migrate(nobody, target)


async def test_a_client_that_decodes_is_refused(url: str) -> None:
    async with Redis.from_url(url, decode_responses=True) as source:
        with pytest.raises(ConfigurationError, match="decode_responses"):
            await migrate(source, await opened())


async def test_the_same_server_may_be_source_and_target(source: Redis, url: str, session: Make, key: str) -> None:
    async with Redis.from_url(url) as client:
        target = RedisStorageBackend(client, encryption_key=key)
        await target.init()
        await plant(source, session(tokens={"access_token": "plain so far"}))
        await migrate(source, target, move=True)
        assert await target.get_session("alice", "s1") == session(tokens={"access_token": "plain so far"})
        assert not [name async for name in _keys(source) if name.startswith("mcp:")]
        await target.disconnect()


async def test_the_command(url: str, session: Make, tmp_path: Path, key: str) -> None:
    async with Redis.from_url(url) as client:
        await plant(client, session(tokens={"access_token": "secret"}))
        await client.set("mcp:session:u:s", "{")
    path = tmp_path / "sessions.json"
    environ = {"MCP_TS_STORAGE_FILE": str(path), "STORAGE_ENCRYPTION_KEY": key, "REDIS_URL": ""}

    run = await asyncio.to_thread(
        lambda: CliRunner().invoke(command, ["--from", url, "--to", "file", "--move"], env=environ)
    )
    assert run.exit_code == 1, run.output
    assert "1 created, 0 there already\n1 removed from the source\n" in run.output
    assert "left behind: mcp:session:u:s: its value is not JSON" in run.output
    assert b"secret" not in path.read_bytes()
    backend = FileStorageBackend(path, encryption_key=key)
    await backend.init()
    assert await backend.get_session("alice", "s1") == session(tokens={"access_token": "secret"})
    await backend.disconnect()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "http://x", "--to", "file"], "--from is not a Redis URL"),
        (["--from", "redis://127.0.0.1:1?sentinels=x", "--to", "file"], "option 'sentinels'"),
        (["--from", "127.0.0.1:1?family=0", "--to", "redis"], "can't be reached"),
        (["--from", "redis://127.0.0.1:1", "--to", "redis"], "can't be reached"),
        ([], "Missing option '--from'"),
    ],
)
def test_the_command_refuses(arguments: list[str], said: str) -> None:
    run = CliRunner().invoke(command, arguments, env={"REDIS_URL": None})
    assert run.exit_code in (1, 2)
    assert said in run.output


@pytest.mark.parametrize("chosen", [{}, {"REDIS_URL": ""}, {"MCP_TS_STORAGE_TYPE": "memory "}, {"SUPABASE_URL": "x"}])
async def test_nothing_is_copied_into_memory(
    url: str, source: Redis, session: Make, chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(source, session())
    for name in [name for name in os.environ if name.startswith(("MCP_TS_", "SUPABASE_", "REDIS_"))]:
        monkeypatch.delenv(name)
    run = await asyncio.to_thread(lambda: CliRunner().invoke(command, ["--from", url, "--move"], env=chosen))
    assert run.exit_code in (1, 2)
    assert re.search("memory|set MCP_TS_STORAGE_TYPE|SUPABASE_URL is set without a key", run.output)
    assert [key async for key in _keys(source)] == ["mcp:identity:alice:sessions", "mcp:session:alice:s1"]


async def test_what_the_environment_selects_is_the_target_and_not_the_source_anew(
    url: str, source: Redis, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(source, session())
    monkeypatch.delenv("REDIS_URL", raising=False)
    environ = {"MCP_TS_STORAGE_FILE": str(tmp_path / "app.json")}
    run = await asyncio.to_thread(lambda: CliRunner().invoke(command, ["--from", url, "--move"], env=environ))
    assert run.exit_code == 0, run.output
    assert b"alice" in (tmp_path / "app.json").read_bytes()
    assert [key async for key in _keys(source)] == []


async def _keys(source: Redis) -> AsyncIterator[str]:
    for name in sorted([key.decode() async for key in source.scan_iter()]):
        yield name
