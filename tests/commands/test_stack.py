"""``mcp-storage stack``, as a user runs it."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from pytest_mcp_storage.commands import stack as commands
from pytest_mcp_storage.stacks.folders import cache_folder
from pytest_mcp_storage.stacks.supabase import state
from pytest_mcp_storage.stacks.supabase.given_project import UrlServer
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.core.errors import StorageUnavailableError

COMMAND = Path(sys.executable).with_name("mcp-storage")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a separate cache for the state file, with PostgREST and the template copied into it."""
    usual = cache_folder()
    folder = tmp_path / "cache"
    folder.mkdir()
    for part in ("npm", "postgres"):
        if (usual / part).exists():
            (folder / part).symlink_to(usual / part)
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(folder))
    return folder


def run(*arguments: str, cwd: Path | None = None, code: int = 0) -> str:
    done = subprocess.run([COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.usefixtures("cache")
def test_a_detached_stack_goes_up_and_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:1")  # of a stack that was up before
    assert "no stack is up" in run("stack", "status", code=1)
    assert "no stack is up" in run("stack", "env", code=1)
    try:
        assert "is up" in run("stack", "up", "--detach")
        reported = dict(
            shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in run("stack", "env").splitlines()
        )
        assert reported.pop("SUPABASE_JWT_SIGNING_KEY") == ""
        assert all(reported.values())
        assert set(reported) == {
            "SUPABASE_URL",
            "SUPABASE_SECRET_KEY",
            "SUPABASE_PUBLISHABLE_KEY",
            "SUPABASE_ANON_KEY",
            "SUPABASE_SERVICE_ROLE_KEY",
            "SUPABASE_JWT_SECRET",
            "SUPABASE_DB_URL",
        }
        assert "SUPABASE_SECRET_KEY" in run("stack", "status")
        rows = httpx.get(
            reported["SUPABASE_URL"] + "/rest/v1/mcp_sessions",
            headers={"apikey": reported["SUPABASE_SERVICE_ROLE_KEY"]},
        )
        assert rows.json() == []
        assert reported["SUPABASE_URL"] in run("stack", "status")
        assert "up already" in run("stack", "up", code=1)
    finally:
        down = run("stack", "down")
    assert "the stack is down" in down
    assert "no stack is up" in run("stack", "down")
    with pytest.raises(httpx.ConnectError):
        httpx.get(reported["SUPABASE_URL"])


@pytest.mark.usefixtures("cache")
def test_a_stack_is_announced_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``down`` wait for its end, so that a second ``up`` does not come too early."""
    reported: list[object] = []
    stack = SupabaseStack("http://127.0.0.1:1", "a", "s", "j", None, provider="native", owned=True, isolated=True)

    class Dying(UrlServer):
        def facts(self) -> dict[str, object]:
            raise StorageUnavailableError("it died")

        def close(self) -> None:
            reported.append(state.announced_stack())

    monkeypatch.setattr(commands.signal, "signal", lambda *_: None)
    monkeypatch.setattr(commands, "start_stack", lambda *_, **__: Dying(stack))
    assert "it died" in CliRunner().invoke(commands.up, []).output
    assert reported == [stack]


@pytest.mark.usefixtures("cache")
def test_a_stack_in_the_foreground_ends_with_ctrl_c() -> None:
    with subprocess.Popen([COMMAND, "stack", "up"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is up" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "no stack is up" in run("stack", "status", code=1)


def announce(folder: Path, place: str) -> subprocess.Popen[str]:
    """Hold a stack's state file as another process would, which says that it runs at ``place``."""
    program = f"""
import sys
from pytest_mcp_storage.stacks.supabase import state
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
state._place = lambda: {place!r}
with state.exclusive() as announce:
    announce(SupabaseStack("http://127.0.0.1:1", None, None, None, None, provider="native", owned=True, isolated=True))
    print("held", flush=True)
    sys.stdin.read()
"""
    environment = {**os.environ, "MCP_STORAGE_CACHE": str(folder)}
    command = [sys.executable, "-c", program]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_process_of_another_machine_is_not_ended(cache: Path) -> None:
    """A cache folder may be shared over a network, and the process id may belong to another machine."""
    with announce(cache, "elsewhere (pid:[1])") as holder:
        said = run("stack", "down", code=1)
        assert "elsewhere (pid:[1])" in said
        assert "run mcp-storage stack down there" in said
        assert holder.poll() is None
        holder.communicate()
        assert holder.returncode == 0


def test_keys_that_the_stack_does_not_have_are_set_to_nothing(cache: Path) -> None:
    """What an earlier project left in the shell must not be used with this one."""
    with announce(cache, state._place()) as holder:
        printed = run("stack", "env").splitlines()
        holder.communicate()
    assert printed[0] == "export SUPABASE_URL=http://127.0.0.1:1"
    assert "export SUPABASE_DB_URL=''" in printed
    assert "export SUPABASE_SERVICE_ROLE_KEY=''" in printed


def test_only_its_owner_can_read_the_keys(cache: Path) -> None:
    run("stack", "up", "--detach")
    try:
        assert (cache / "stack" / "stack.json").stat().st_mode & 0o077 == 0
    finally:
        run("stack", "down")
    assert (cache / "stack" / "stack.json").read_text() == ""


@pytest.mark.usefixtures("cache")
def test_a_stack_that_cannot_start_says_why(tmp_path: Path) -> None:
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    for detach in ([], ["--detach"]):
        done = subprocess.run(
            [COMMAND, "stack", "up", "--provider=docker", *detach],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("Error: no Docker engine answers")


@pytest.mark.usefixtures("cache")
def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("stack", "up", f"--port={port}", code=1)
    assert f"port {port}" in said.splitlines()[-1]
    assert "--port" in said.splitlines()[-1]
    assert "0<=x<=65535" in run("stack", "up", "--port=65536", code=2)


@pytest.mark.usefixtures("cache")
def test_progress_is_reported_also_when_detached() -> None:
    try:
        assert "starting PostgreSQL" in run("stack", "up", "--detach")
    finally:
        run("stack", "down")


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path / "file" / "cache"))
    for command in (["up"], ["up", "--detach"], ["status"], ["env"], ["down"]):
        said = run("stack", *command, code=1)
        assert said.splitlines()[-1].startswith("Error: ")
        assert "MCP_STORAGE_CACHE" in said
