"""The Supabase harness: a separate store on the server of a run; on a given project, the rows of others stay."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_mcp_storage.harnesses import supabase_server as module
from pytest_mcp_storage.harnesses.supabase import CHOICE_VARIABLE, SupabaseHarness
from pytest_mcp_storage.session import options
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.stacks.environment_variables import libpq_variables_ignored
from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import ConfigurationError, SessionData, StorageError, StorageSetupError

KEY = "00112233445566778899aabbccddeeff" * 2
LOOKING = {Capability.AT_REST}
CUTTING = {Capability.OUTAGE, Capability.LOST_ANSWER, Capability.FAIL_STEP}
SIGNING = {Capability.ROW_SECURITY}
MAKING = {Capability.SETUP}


def session(session_id: str = "s1", identity: str = "alice", **fields: Any) -> SessionData:
    return SessionData(
        session_id=session_id,
        identity=identity,
        server_url="https://mcp.example",
        transport_type="sse",
        callback_url="https://app.example/callback",
        created_at=0,
        **fields,
    )


class Native(SupabaseHarness):
    provider = "native"


def with_harness(check: Callable[[SupabaseHarness], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with Native() as harness:
            await check(harness)

    asyncio.run(run())


@pytest.fixture(scope="module", autouse=True)
def _own_servers() -> Iterator[None]:
    """End what a test starts, and forget the server of the variables."""
    yield
    for server in module._servers.values():
        server.close()
    module._servers.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[SupervisedServer]:
    with native.start() as server:
        yield server


@pytest.fixture
def project(server: SupervisedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SupabaseStack]:
    """Set the variables of a project, all that a harness reads."""
    stack = server.store()
    monkeypatch.setattr(module, "_servers", {})
    monkeypatch.setenv("MCP_STORAGE_SUPABASE", "url")
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", str(stack.service_role_key))
    monkeypatch.setenv("SUPABASE_ANON_KEY", str(stack.anon_key))
    monkeypatch.setenv("SUPABASE_JWT_SECRET", str(stack.jwt_secret))
    monkeypatch.setenv("SUPABASE_DB_URL", str(stack.database_url))
    yield stack
    server.drop(stack)


def test_the_option_and_the_harness_mean_the_same_variable() -> None:
    assert CHOICE_VARIABLE == options.PROVIDER_VARIABLE


def test_each_harness_has_its_own_store() -> None:
    async def check(harness: SupabaseHarness) -> None:
        assert harness.dedicated
        assert harness.capabilities == SupabaseHarness.capabilities
        await (await harness.open()).create_session(session())
        async with Native() as other:
            assert await (await other.open()).get_all_session_ids() == []
        assert await (await harness.open()).get_all_session_ids() == ["s1"]

    with_harness(check)


ELSEWHERE = {
    **dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"], "http://127.0.0.1:9"),
    "PGSERVICE": "none",
    "PGSERVICEFILE": "/nowhere",
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "none",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "md5",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGCLIENTENCODING": "LATIN1",
}


@pytest.mark.parametrize("variables", [[name] for name in ELSEWHERE] + [[*ELSEWHERE]], ids=",".join)
def test_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch, variables: list[str]) -> None:
    for name in variables:
        monkeypatch.setenv(name, ELSEWHERE[name])
    before = dict(os.environ)

    async def check(harness: SupabaseHarness) -> None:
        await (await harness.open()).create_session(session())
        assert b"alice" in await harness.stored_bytes()
        await harness.replace_stored_field("alice", "s1", "headers", {"name": "ü"})

    with_harness(check)
    assert dict(os.environ) == before


async def test_variables_of_libpq_are_back_after_the_last_of_several_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSERVICE", "mine")
    with libpq_variables_ignored():
        with libpq_variables_ignored():
            assert "PGSERVICE" not in os.environ
        assert "PGSERVICE" not in os.environ
    assert os.environ["PGSERVICE"] == "mine"


def test_what_is_stored_is_read() -> None:
    async def check(harness: SupabaseHarness) -> None:
        store, sealed = await harness.open(), await harness.open(encryption_key=KEY)
        await store.create_session(session(tokens={"t": 'clear "\\\\" token'}, server_name="name-in-clear"))
        await sealed.create_session(session("s2", tokens={"t": "sealed-token"}, code_verifier="sealed-verifier"))
        await store.create_session(session("s3", tokens={"t": "removed-token"}))
        await store.remove_session("alice", "s3")
        stored = await harness.stored_bytes()
        assert b"name-in-clear" in stored
        assert b"removed-token" in stored
        assert b"sealed-" not in stored
        assert (await harness.stored_fields("alice", "s1"))["tokens"] == {"t": 'clear "\\\\" token'}
        fields = await harness.stored_fields("alice", "s2")
        assert fields["tokens"].startswith("enc:1:")
        assert fields["code_verifier"].startswith("enc:1:")
        assert fields["headers"] is fields["client_information"] is None
        for identity, session_id in (("alice", "s3"), ("bob", "s1")):
            with pytest.raises(LookupError):
                await harness.stored_fields(identity, session_id)
            with pytest.raises(LookupError):
                await harness.replace_stored_field(identity, session_id, "tokens", {})
        for value in ("text", {"a": [1]}, None):
            await harness.replace_stored_field("alice", "s1", "headers", value)
            assert (await harness.stored_fields("alice", "s1"))["headers"] == value

    with_harness(check)


def test_an_old_or_missing_table_is_elsewhere() -> None:
    async def check(harness: SupabaseHarness) -> None:
        store = await harness.open()
        await store.create_session(session())
        for how in ("missing", "old"):
            async with harness.unprepared(how):  # type: ignore[arg-type]
                with pytest.raises(StorageSetupError):
                    await harness.open()
            assert await (await harness.open()).get_all_session_ids() == ["s1"]

    with_harness(check)


def test_an_attached_harness_neither_makes_nor_destroys() -> None:
    async def check(harness: SupabaseHarness) -> None:
        async with Native.attach(harness.locator()) as attached:
            await (await attached.open(encryption_key=KEY)).create_session(session())
        assert await (await harness.open()).get_identity_mcp_sessions("alice") == ["s1"]

    with_harness(check)


def test_rows_are_written_past_the_backend_only_as_the_policies_allow() -> None:
    async def check(harness: SupabaseHarness) -> None:
        service = await harness.open()
        await harness.write_row_as("alice", session(), "alice")
        assert await service.get_session("alice", "s1") == session()
        await harness.write_row_as("alice", session(server_name="again"), "alice")
        assert await service.get_session("alice", "s1") == session(server_name="again")
        for user, row, owner in (
            ("alice", session(), "bob"),
            ("alice", session(identity="bob"), "alice"),
            ("alice", session("s2", "bob"), "alice"),
            ("alice", session("s2"), "bob"),
            ("bob", session(), "alice"),
            (None, session("s2"), "alice"),
        ):
            with pytest.raises(StorageError):
                await harness.write_row_as(user, row, owner)
        assert await service.get_all_session_ids() == ["s1"]
        assert await service.get_session("alice", "s1") == session(server_name="again")

    with_harness(check)


def test_a_row_that_stays_as_it_was_is_a_refusal() -> None:
    """If a policy hides the row from an update, PostgreSQL raises no error and changes nothing."""

    async def check(harness: SupabaseHarness) -> None:
        with psycopg.connect(str(harness._in_use.database_url), autocommit=True) as database:
            database.execute('drop policy "Users can update their own sessions" on public.mcp_sessions')
        await harness.write_row_as("alice", session(), "alice")
        with pytest.raises(StorageError, match="no row"):
            await harness.write_row_as("alice", session(server_name="again"), "alice")

    with_harness(check)


def test_a_broken_policy_shows(server: SupervisedServer) -> None:
    """The hole of upstream's policies: the user's id in one of the two columns is enough."""

    async def check(harness: SupabaseHarness) -> None:
        with psycopg.connect(str(harness._in_use.database_url), autocommit=True) as database:
            database.execute(
                "create policy hole on public.mcp_sessions for insert to authenticated "
                "with check (auth.jwt() ->> 'sub' = user_id or auth.jwt() ->> 'sub' = identity)"
            )
        await harness.write_row_as("alice", session(identity="bob"), "alice")
        assert await (await harness.open_as("bob")).get_identity_mcp_sessions("bob") == []
        assert await (await harness.open()).get_identity_mcp_sessions("bob") == ["s1"]

    with_harness(check)


def test_a_given_project_keeps_all_rows_of_others(project: SupabaseStack) -> None:
    async def check() -> None:
        async with SupabaseHarness.attach({"url": project.url, "key": project.service_role_key}) as owner:
            await (await owner.open()).create_session(session("theirs"))
            async with SupabaseHarness() as harness:
                assert not harness.dedicated
                assert harness.capabilities == SupabaseHarness.capabilities - MAKING
                store = await harness.open(encryption_key=KEY)
                await store.create_session(session("ours"))
                await harness.write_row_as("alice", session("ours-too"), "alice")
                await (await harness.open_as("alice")).create_session(session("mine"))
                assert b"theirs" in await harness.stored_bytes()
                assert len(await store.get_all_session_ids()) == 4
                await (await harness.open_as("alice")).remove_session("alice", "ours")
                await store.remove_session("alice", "mine")
                assert harness._created == {("alice", "ours"), ("alice", "ours-too")}
            assert await (await owner.open()).get_all_session_ids() == ["theirs"]

    asyncio.run(check())


def test_judging_a_given_project_leaves_others_rows(project: SupabaseStack, tmp_path: Path) -> None:
    """EN reads the database, and empties a store of the suite."""

    async def theirs() -> list[str]:
        async with SupabaseHarness.attach({"url": project.url, "key": project.service_role_key}) as owner:
            store = await owner.open()
            if not (ids := await store.get_all_session_ids()):
                await store.create_session(session("theirs"))
            return ids

    assert asyncio.run(theirs()) == []
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mcp-tier=smoke", "--mcp-clause=EN"]
    command += ["--mcp-backend=supabase", "--mcp-supabase=url", "--hypothesis-seed=0"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stdout
    assert asyncio.run(theirs()) == ["theirs"]


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("SUPABASE_DB_URL", LOOKING),
        ("SUPABASE_ANON_KEY", SIGNING),
        ("SUPABASE_JWT_SECRET", SIGNING),
    ],
)
def test_a_given_project_declares_what_it_lets_us_do(
    project: SupabaseStack, monkeypatch: pytest.MonkeyPatch, without: str, missing: set[Capability]
) -> None:
    monkeypatch.delenv(without)

    async def check() -> None:
        async with SupabaseHarness() as harness:
            assert harness.capabilities == SupabaseHarness.capabilities - MAKING - missing
            assert await (await harness.open()).get_all_session_ids() == []

    asyncio.run(check())


def test_a_database_that_cannot_be_reached_is_reported_without_its_password(
    project: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_DB_URL", "postgresql://postgres:the-password@127.0.0.1:9/postgres")

    async def check() -> None:
        with pytest.raises(ConfigurationError, match="SUPABASE_DB_URL") as raised:
            await SupabaseHarness().__aenter__()
        assert "the-password" not in str(raised.value)
        assert raised.value.__context__ is None

    asyncio.run(check())


def test_a_variable_of_libpq_that_changes_the_given_connection_is_named(
    project: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They apply to a project that was given. Here one of them breaks the connection."""
    monkeypatch.setenv("PGCHANNELBINDING", "require")

    async def check() -> None:
        with pytest.raises(ConfigurationError, match="SUPABASE_DB_URL, PGCHANNELBINDING"):
            await SupabaseHarness().__aenter__()

    asyncio.run(check())


@pytest.mark.parametrize("keys", [("SECRET", "PUBLISHABLE"), ("SERVICE_ROLE", "ANON"), ("SECRET", "ANON")])
def test_a_given_project_may_have_either_kind_of_keys(
    project: SupabaseStack, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, str]
) -> None:
    for name in ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"):
        monkeypatch.delenv(name)
    for name in keys:
        monkeypatch.setenv(f"SUPABASE_{name}_KEY", str(getattr(project, f"{name.lower()}_key")))

    async def check() -> None:
        async with SupabaseHarness() as harness:
            assert Capability.ROW_SECURITY in harness.capabilities
            await (await harness.open_as("alice")).create_session(session())
            assert await (await harness.open_as("bob")).get_all_session_ids() == []
            assert await (await harness.open_as(None)).get_all_session_ids() == []
            assert await (await harness.open()).get_all_session_ids() == ["s1"]

    asyncio.run(check())


def test_tls_would_notice_a_proxy(project: SupabaseStack) -> None:
    """No stack of the tests uses TLS, so only the URL is checked."""
    hosted = SupabaseStack(**{**project.__dict__, "url": "https://project.supabase.co", "isolated": False})
    server = native.SupervisedServer.__new__(native.SupervisedServer)
    server.makes_stores = False
    assert module.out_of_reach(server, hosted) == CUTTING | MAKING
