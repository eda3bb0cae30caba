"""Both embedded stores, and a process that works on one of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from reference_backends import FileStorageBackend, SessionData, SqliteStorageBackend
from reference_backends.file.session_file import SessionFile
from reference_backends.sqlite.table import SessionTable

Backend = FileStorageBackend | SqliteStorageBackend

Build = Callable[..., SessionData]

Open = Callable[..., Backend]

WORKER = Path(__file__).with_name("worker.py")

CLASSES: dict[str, type[Backend]] = {"file": FileStorageBackend, "sqlite": SqliteStorageBackend}

ENGINES: dict[str, Any] = {"file": SessionFile, "sqlite": SessionTable}


@pytest.fixture(params=["file", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "sessions"


@pytest.fixture
def build(kind: str, path: Path) -> Open:
    """Return a handle on the store at ``path``. It is not open yet."""
    return lambda **options: CLASSES[kind](path, **options)


class SetClock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def every_call(backend: Backend, session: Build) -> list[Callable[[], Awaitable[Any]]]:
    """Call each method that needs the store, ``init`` first."""
    return [
        backend.init,
        lambda: backend.create_session(session("new")),
        lambda: backend.update_session("alice", "s1", {}),
        lambda: backend.get_session("alice", "s1"),
        lambda: backend.get_identity_sessions_data("alice"),
        lambda: backend.get_identity_mcp_sessions("alice"),
        lambda: backend.remove_session("alice", "s1"),
        backend.get_all_session_ids,
        backend.clear_all,
        backend.cleanup_expired_sessions,
    ]


def threads_of(kind: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"mcp-storage {kind}"]


def assert_threads_end(kind: str) -> None:
    for thread in threads_of(kind):
        thread.join(30)
        assert not thread.is_alive()


def run_worker(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WORKER, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
