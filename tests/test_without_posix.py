"""What is said to work on Windows imports and works without the modules and functions that only POSIX has.

This is a simulation: the names are taken away from a Python on POSIX. CI judges memory and SQLite on Windows.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mcp_storage.bridge.backend_names import mcp_ts_path, stdio_harness
from pytest_mcp_storage.stacks.redis.server import redis_server
from pytest_mcp_storage.stacks.supabase.providers import start_stack
from reference_backends import StorageSetupError

SCRIPT = """\
import asyncio, logging, os, signal, subprocess, sys
import hypothesis, platformdirs, pytest, sqlite3  # what Windows has in another form is loaded before

for module in ("fcntl", "grp", "pty", "pwd", "resource", "termios"):
    sys.modules[module] = None
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "chown", "fchown", "fork", "geteuid",
             "getuid", "killpg", "pread", "register_at_fork", "setsid", "statvfs"):
    delattr(os, name) if hasattr(os, name) else None
for name in ("SIGHUP", "SIGKILL", "SIGUSR1", "pthread_sigmask"):
    delattr(signal, name)

import click
import pytest_mcp_storage, pytest_mcp_storage.plugin, pytest_mcp_storage.bridge.harness
import pytest_mcp_storage.stacks.supabase.native, pytest_mcp_storage.stacks.redis.native
from pytest_mcp_storage.cli import COMMANDS, main
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from reference_backends import ConfigurationError, FileStorageBackend, SessionData

assert [main.get_command(click.Context(main), name) for name in COMMANDS]
session = SessionData(session_id="s1", identity="alice", server_url="https://mcp.example", transport_type="sse",
                      callback_url="https://app.example", created_at=0, tokens={"access_token": "secret"})

async def works(harness):
    async with harness:
        store = await harness.open(encryption_key="5e" * 32)
        await store.create_session(session)
        await store.disconnect()
        again = store if harness.name == "memory" else await harness.open(encryption_key="5e" * 32)
        await again.init()
        assert harness.name == "memory" or await again.get_session("alice", "s1") == session
        if harness.name == "sqlite":
            assert b"alice" in await harness.stored_bytes()
        await again.disconnect()

asyncio.run(works(MemoryHarness()))
asyncio.run(works(SqliteHarness()))
try:
    FileStorageBackend("sessions.json")
except ConfigurationError as error:
    print(error)
"""


def test_memory_and_sqlite_need_no_posix_and_the_file_store_says_that_it_does(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the file store needs POSIX file locks, which this system lacks; use SQLite\n"


def test_what_needs_posix_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for provider in ("native", "docker", "cli"):
        with pytest.raises(StorageSetupError, match="--mcp-supabase=url"):
            start_stack(provider, environ={})
    with pytest.raises(StorageSetupError, match="set REDIS_URL"):
        redis_server(environ={})
    for call in (lambda: stdio_harness("python bridge.py"), lambda: mcp_ts_path("memory")):
        with pytest.raises(ValueError, match="Windows"):
            call()
