"""The native stack: what it serves, and that nothing of it is left after its run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase import native, template
from pytest_mcp_storage.stacks.supabase.postgrest import Postgrest
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends.core.errors import StorageSetupError, StorageUnavailableError
from tests.stacks.supabase.conftest import ROW, Rest, listed

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

HOLDER = """
import json, os, sys, time
from pytest_mcp_storage.stacks.supabase import native
server = native.start()
server.store()
fork = os.fork() if sys.argv[1:] else None
if fork == 0:
    time.sleep(600)
print(json.dumps({**server.facts(), "fork": fork}), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=[[]], ids=[""])
def holder(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start another process that runs a stack; return the stack's facts too."""
    command = [sys.executable, "-c", HOLDER, *request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        yield process, facts
        process.kill()
        if facts["fork"] is not None:
            os.kill(facts["fork"], signal.SIGKILL)


def processes(facts: dict[str, Any]) -> list[int]:
    return [facts["supervisor"], facts["postgres"], *facts["postgrest"].values()]


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def becomes_true(question: Callable[[], bool], *, limit: float = 20.0) -> bool:
    end = time.monotonic() + limit
    while not question():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_row_goes_in_and_out(stack: SupabaseStack, rest: Rest) -> None:
    assert rest(stack, "mcp_sessions", method="POST", json=ROW).status_code == 201
    assert listed(rest(stack, "mcp_sessions")) == ["s1"]


def test_stores_share_nothing(server: SupervisedServer, stack: SupabaseStack, rest: Rest) -> None:
    other = server.store()
    rest(stack, "mcp_sessions", method="POST", json=ROW)
    assert rest(other, "mcp_sessions").json() == []
    assert other.isolated
    assert other.owned
    server.drop(other)
    with pytest.raises(httpx.ConnectError):
        rest(other, "mcp_sessions")


def test_a_new_store_takes_nothing_from_those_that_are_left(server: SupervisedServer, rest: Rest) -> None:
    first, second = server.store(), server.store()
    server.drop(first)
    third = server.store()
    rest(second, "mcp_sessions", method="POST", json=ROW)
    server.drop(third)
    assert listed(rest(second, "mcp_sessions")) == ["s1"]
    server.drop(second)


def test_a_store_without_migrations_lacks_the_table(server: SupervisedServer, rest: Rest) -> None:
    bare = server.store(migrated=False)
    answer = rest(bare, "mcp_sessions")
    assert answer.status_code == 404
    assert answer.json()["code"] == "42P01"
    server.drop(bare)


def test_listings_are_cut_as_in_a_hosted_project(server: SupervisedServer, rest: Rest) -> None:
    def length(stack: SupabaseStack) -> int:
        with psycopg.connect(str(stack.database_url)) as database:
            database.execute(
                "insert into mcp_sessions"
                " (session_id, user_id, identity, server_url, transport_type, callback_url, expires_at)"
                " select 's' || n, 'u', 'u', '', 'sse', '', now() from generate_series(1, 1001) n"
            )
        return len(listed(rest(stack, "mcp_sessions?limit=5000")))

    usual, small = server.store(), server.store(max_rows=10)
    assert length(usual) == 1000
    assert length(small) == 10
    server.drop(usual)
    server.drop(small)


@pytest.mark.parametrize("size", [1, 8 * 1024 * 1024])
def test_bodies_of_8_mib_pass_both_ways(stack: SupabaseStack, rest: Rest, size: int) -> None:
    text = "x" * size
    written = rest(stack, "mcp_sessions", method="POST", json={**ROW, "tokens": text})
    assert written.status_code == 201, written.text[:200]
    assert rest(stack, "mcp_sessions?select=tokens").json() == [{"tokens": text}]


def test_a_paused_gateway_refuses_and_comes_back(server: SupervisedServer, stack: SupabaseStack, rest: Rest) -> None:
    other = server.store()
    with httpx.Client(base_url=stack.url, headers={"apikey": str(stack.service_role_key)}) as client:
        client.get("/rest/v1/mcp_sessions")
        server.pause(stack)
        with pytest.raises(httpx.TransportError):  # not by the connection that was open either
            client.get("/rest/v1/mcp_sessions")
        with pytest.raises(httpx.ConnectError):
            client.get("/rest/v1/mcp_sessions")
        assert rest(other, "mcp_sessions").status_code == 200
        server.resume(stack)
        assert client.get("/rest/v1/mcp_sessions").json() == []
    server.drop(other)


@linux
def test_it_listens_on_the_loopback_address_alone(server: SupervisedServer, stack: SupabaseStack) -> None:
    sockets = {
        os.readlink(link).removeprefix("socket:[").removesuffix("]")
        for pid in processes(server.facts())
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.path.islink(link) and "socket:" in os.readlink(link)
    }
    listening = [
        fields[1].partition(":")[0]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and fields[9] in sockets
    ]
    assert len(listening) >= 2
    assert set(listening) == {"0100007F"}


@linux
def test_what_postgres_shares_has_no_name_outside_its_folder(server: SupervisedServer) -> None:
    """It would stay after PostgreSQL is killed."""
    facts = server.facts()
    maps = Path(f"/proc/{facts['postgres']}/maps").read_text()
    assert f"{facts['data_directory']}/pg_dynshmem" in maps
    assert "/dev/shm/PostgreSQL" not in maps


@linux
@pytest.mark.parametrize("holder", [[], ["with a fork"]], ids=["alone", "with a fork"], indirect=True)
def test_nothing_outlives_a_killed_run(holder: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    process, facts = holder
    assert all(map(alive, processes(facts)))
    assert Path(facts["folder"]).exists()
    process.kill()
    assert becomes_true(lambda: not any(map(alive, processes(facts))))
    assert not Path(facts["folder"]).exists()


@linux
def test_no_server_outlives_a_killed_supervisor(holder: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    _, facts = holder
    os.kill(facts["supervisor"], signal.SIGKILL)
    assert becomes_true(lambda: not any(map(alive, processes(facts))))
    with native.start():  # which sweeps
        assert not Path(facts["folder"]).exists()


def test_the_errors_of_an_ended_and_of_a_closed_stack_differ() -> None:
    server = native.start()
    os.kill(server.facts()["supervisor"], signal.SIGKILL)
    with pytest.raises(StorageUnavailableError, match="start it again"):
        server.store()
    server.close()
    server.close()
    with pytest.raises(StorageUnavailableError, match="closed"):
        server.store()


def test_a_store_that_does_not_open_leaves_nothing(server: SupervisedServer) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(StorageSetupError, match="can't listen on port"),
    ):
        server.store("again", port=taken.getsockname()[1])
    server.drop(server.store("again"))


def test_the_variables_of_other_servers_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "none")
    with native.start() as server:
        assert server.store().database_url is not None


def test_settings_reach_postgres() -> None:
    server = native.start(fsync=True, settings={"work_mem": "5MB"})
    with server, psycopg.connect(str(server.store().database_url)) as database:
        assert database.execute("show fsync").fetchone() == ("on",)
        assert database.execute("show work_mem").fetchone() == ("5MB",)


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(StorageSetupError, match="no_such_setting"):
        native.start(settings={"no_such_setting": "1"})


async def test_a_template_that_can_not_be_kept_is_no_reason_to_fail_and_leaves_nothing(tmp_path: Path) -> None:
    """As if the cache's disk were full."""
    await template._cache(tmp_path / "no-such-folder", tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


async def test_a_copy_that_can_not_say_why_it_failed_leads_to_the_disk(tmp_path: Path) -> None:
    """Its log is on the same disk."""
    (tmp_path / "cp.log").symlink_to("/dev/null")
    with pytest.raises(StorageSetupError, match="its disk may be full"):
        await template._copy(tmp_path / "missing", tmp_path / "data", lambda: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_root_can_run_it(monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """As nobody; in a user namespace if nobody can't enter the folders."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(mode)
        monkeypatch.setenv("TMPDIR", folder)
        with native.start() as server, psycopg.connect(str(server.store().database_url)) as database:
            assert server.facts()["folder"].startswith(folder)
            assert database.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("name", ["two words", "it's", "one,two"])
def test_it_runs_where_the_temporary_folder_is_not_one_word(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{name} ", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        with native.start() as server, psycopg.connect(str(server.store().database_url)) as database:
            assert database.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("length", [52, 53, 60])
def test_it_runs_where_the_temporary_folder_has_a_long_name(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as parent:
        folder = Path(parent, "a" * (length - len(parent) - 1))
        folder.mkdir()
        monkeypatch.setenv("TMPDIR", str(folder))
        with native.start() as server:
            assert server.facts()["folder"].startswith(str(folder)) == (length == 52)


async def test_a_postgrest_that_keeps_every_question_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it can't connect to its database."""
    monkeypatch.setattr("pytest_mcp_storage.stacks.supabase.postgrest.START_LIMIT", 0.2)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho no database\nexec sleep 60\n")
    program.chmod(0o700)
    silent = Postgrest(program, tmp_path, "p")

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(keep, silent.address):
        await silent.start("", jwt_secret="", max_rows=1)
        with pytest.raises(StorageSetupError, match="did not start"):
            await asyncio.wait_for(silent.ready(), 10)
        await silent.stop()


def test_secrets_are_not_shown(stack: SupabaseStack) -> None:
    secrets = (stack.anon_key, stack.service_role_key, stack.secret_key, stack.jwt_secret, stack.database_url)
    assert not any(str(secret) in repr(stack) for secret in secrets)
