"""Upstream's published package behind the bridge: the right store, and a key and a clock for each handle."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pytest_mcp_storage.bridge.errors import BridgeFault, ForeignAnswerError, ForeignError
from pytest_mcp_storage.bridge.mcp_ts import package
from pytest_mcp_storage.bridge.mcp_ts.file import McpTsFile
from pytest_mcp_storage.bridge.mcp_ts.harness import FellBackToMemory, McpTsHarness
from pytest_mcp_storage.bridge.mcp_ts.memory import McpTsMemory
from pytest_mcp_storage.bridge.mcp_ts.package import installed
from pytest_mcp_storage.bridge.mcp_ts.redis import McpTsRedis, UpstreamRedis
from pytest_mcp_storage.bridge.mcp_ts.sqlite import McpTsSqlite
from pytest_mcp_storage.bridge.mcp_ts.supabase import McpTsSupabase
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

Make = Callable[..., SessionData]

KEY, OTHER_KEY = "0" * 64, "1" * 64


async def test_its_two_documented_errors_are_translated_and_no_other(session: Make) -> None:
    async with McpTsMemory() as harness:
        backend = await harness.open()
        await backend.create_session(session())
        with pytest.raises(SessionExistsError):
            await backend.create_session(session())
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("u1", "other\nline", {})
        with pytest.raises(ForeignError, match="Error: identity and sessionId required"):
            await backend.update_session("", "s1", {})


async def test_every_handle_on_memory_is_a_separate_store(session: Make) -> None:
    async with McpTsMemory() as harness:
        one, two = await harness.open(), await harness.open()
        await one.create_session(session())
        assert await two.get_session("u1", "s1") is None


@pytest.mark.usefixtures("better_sqlite3")
async def test_each_handle_has_its_own_clock(session: Make) -> None:
    """SQLite's clean-up reads the time: at the same moment the session has expired for one handle only."""
    early, late = 1_000_000.0, 2_000_000.0
    async with McpTsSqlite() as harness:
        one, two = await harness.open(clock=lambda: early), await harness.open(clock=lambda: late)
        await one.create_session(session(), 60)
        await one.cleanup_expired_sessions()
        assert await two.get_session("u1", "s1") == session()
        await two.cleanup_expired_sessions()
        assert await one.get_session("u1", "s1") is None


async def test_each_handle_has_its_own_key(session: Make) -> None:
    secret = session(tokens={"access_token": "hunter2"}, active=True)
    async with McpTsSupabase() as harness:
        right, wrong = await harness.open(encryption_key=KEY), await harness.open(encryption_key=[OTHER_KEY])
        await right.create_session(secret)
        assert await right.get_session("u1", "s1") == secret
        with pytest.raises(ForeignAnswerError, match="tokens: must be a JSON object"):
            await wrong.get_session("u1", "s1")  # upstream returns the envelope
        with pytest.raises(ForeignError, match="takes one encryption key, not 2"):
            await harness.open(encryption_key=[KEY, OTHER_KEY])


async def test_a_user_is_signed_in_by_their_token(session: Make) -> None:
    user = "00000000-0000-4000-8000-000000000001"
    async with McpTsSupabase() as harness:
        theirs, nobody = await harness.open_as(user), await harness.open_as(None)
        await theirs.create_session(session(identity=user, active=True))
        assert await theirs.get_identity_mcp_sessions(user) == ["s1"]
        assert await nobody.get_identity_mcp_sessions(user) == []


async def test_a_default_ttl_is_declined() -> None:
    async with McpTsMemory() as harness:
        with pytest.raises(NotMeasurable, match="no way to choose a default TTL"):
            await harness.open(default_ttl=5)


async def test_its_output_goes_to_the_log(session: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pytest_mcp_storage.bridge"):
        async with McpTsSupabase() as harness:
            backend = await harness.open()
            await backend.create_session(session(tokens={"a": "hunter2"}))
    assert any("STORAGE_ENCRYPTION_KEY is not set" in record.message for record in caplog.records)


async def test_redis_that_cannot_be_reached_is_no_verdict_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream keeps its sessions in memory silently; the probe is not in Redis, so nothing is measured."""
    monkeypatch.setattr(McpTsRedis, "settings", lambda self: {"REDIS_URL": "redis://127.0.0.1:1"})
    with pytest.raises(BridgeFault, match="keeps its sessions in memory without an error"):
        await McpTsRedis().__aenter__()


async def test_a_handle_that_falls_back_in_an_outage_is_upstreams_own_doing() -> None:
    async with McpTsRedis() as harness:
        async with harness.outage():
            with pytest.raises(FellBackToMemory):
                await harness.open()
        await harness.open()


async def test_a_table_that_is_missing_is_upstreams_to_report() -> None:
    async with McpTsSupabase() as harness:
        async with harness.unprepared("missing"):
            with pytest.raises(FellBackToMemory):
                await harness.open()
        await harness.open()


async def test_an_old_table_is_upstreams_to_report(session: Make) -> None:
    """Opening succeeds; the first session that needs the column fails."""
    async with McpTsSupabase() as harness:
        async with harness.unprepared("old"):
            backend = await harness.open()
            with pytest.raises(ForeignError, match="client_id"):
                await backend.create_session(session(client_id="c"))
        await backend.create_session(session(client_id="c"))


async def test_another_projects_settings_do_not_leak_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stray = tmp_path / "stray.json"
    monkeypatch.setenv("MCP_TS_STORAGE_FILE", str(stray))
    monkeypatch.setenv("STORAGE_ENCRYPTION_KEY", KEY)
    async with McpTsMemory() as harness:
        assert harness.env is not None
        assert "MCP_TS_STORAGE_FILE" not in harness.env
        assert "STORAGE_ENCRYPTION_KEY" not in harness.env
        await harness.open()
    assert not stray.exists()


async def test_another_process_finds_the_store(session: Make) -> None:
    async with McpTsFile() as harness:
        backend = await harness.open()
        await backend.create_session(session())
        async with McpTsFile.attach(json.loads(json.dumps(harness.locator()))) as attached:
            assert await (await attached.open()).get_session("u1", "s1") == session()
        path = harness.underlying.path
        assert path.exists(), "an attached harness destroys nothing"
    assert not path.exists()


async def test_nothing_is_left_behind_where_upstream_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    class Watched(UpstreamRedis):
        async def __aexit__(self, *exc: object) -> None:
            await super().__aexit__(*exc)
            ended.append(True)

    monkeypatch.setattr(McpTsRedis, "provisioned", lambda self: Watched())
    monkeypatch.setattr(McpTsRedis, "node_options", ("--no-such-option",))
    with pytest.raises(BridgeFault, match="--no-such-option"):
        await McpTsRedis().__aenter__()
    assert ended == [True]


async def test_without_npm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BridgeFault, match=r"needs node on the PATH: install Node\.js"):
        await installed()


async def test_what_is_installed_needs_no_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = await installed()
    node = shutil.which("node")
    assert node is not None
    (tmp_path / "node").symlink_to(node)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await installed() == folder
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BridgeFault, match="needs npm on the PATH"):
        await installed()


async def test_an_unfinished_installation_of_a_killed_run_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left = tmp_path / "mcp-ts" / f"{package.UNFINISHED}x" / "node_modules"
    left.mkdir(parents=True)
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path))
    monkeypatch.setitem(package.VERSIONS, package.SDK, "0.0.0-there-is-no-such-version")
    with pytest.raises(BridgeFault):
        await installed()
    assert not left.exists()


async def test_what_npm_cannot_install_is_reported_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path))
    monkeypatch.setitem(package.VERSIONS, package.SDK, "0.0.0-there-is-no-such-version")
    with pytest.raises(BridgeFault, match=r"npm could not install @mcp-ts/sdk@0\.0\.0-there"):
        await installed()
    assert [path.name for path in (tmp_path / "mcp-ts").iterdir()] == ["lock"]


@pytest.mark.parametrize("made", [McpTsFile, McpTsSqlite, McpTsRedis, McpTsSupabase])
async def test_a_worker_may_attach_without_entering(session: Make, made: type[McpTsHarness]) -> None:
    session = partial(session, active=True)
    async with made() as harness:
        attached = made.attach(json.loads(json.dumps(harness.locator())))
        backend = await attached.open()
        await backend.create_session(session())
        await attached.__aexit__(None, None, None)
        assert await (await harness.open()).get_session("u1", "s1") == session()
