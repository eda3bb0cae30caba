"""The file that announces the stack that is up."""

from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path

import pytest

from pytest_mcp_storage.stacks.supabase import state
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.core.errors import ConfigurationError, StorageSetupError

STACK = SupabaseStack("http://127.0.0.1:1", "a", "s", "j", None, provider="native", owned=True, isolated=True)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path))


def test_it_announces_the_stack_only_while_it_is_up() -> None:
    assert state.announced_stack() is None
    with state.exclusive() as announce:
        assert state.announced_stack() is None
        announce(STACK)
        assert state.announced_stack() == STACK
    assert state.announced_stack() is None


def test_of_two_stacks_the_second_is_refused_before_it_starts() -> None:
    with state.exclusive(), pytest.raises(ConfigurationError, match="stack down"), state.exclusive():
        pass


def test_a_process_that_only_reads_blocks_nobody() -> None:
    """Reading takes the lock for a moment; a process that announces a stack waits for it."""
    looking = state.state_file().open("a+")
    fcntl.flock(looking, fcntl.LOCK_SH)
    looked = threading.Timer(0.05, looking.close)
    looked.start()
    with state.exclusive():
        looked.join()


def test_what_a_killed_process_left_is_nothing() -> None:
    state.state_file().write_text('{"pid": 1, "stack": {')
    assert state.announced_stack() is None
    assert not state.end_announced()
    with state.exclusive():
        assert state.announced_stack() is None


def test_a_file_that_can_not_be_opened_is_named_with_the_remedy() -> None:
    """As if another user made it. A folder can't be opened as a file, even by root."""
    state.state_file().mkdir()
    for look in (state.announced_stack, state.end_announced, lambda: state.exclusive().__enter__()):
        with pytest.raises(StorageSetupError, match=r"stack\.json can't be opened .*MCP_STORAGE_CACHE"):
            look()


def test_a_stack_of_another_version_is_reported_and_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    with state.exclusive() as announce:
        announce(STACK)
        newer = json.loads(state.state_file().read_text())
        newer["stack"]["colour"] = "blue"
        state.state_file().write_text(json.dumps(newer))
        with pytest.raises(StorageSetupError, match="stack down"):
            state.announced_stack()
        monkeypatch.setattr("os.kill", lambda pid, by: (ended.append(pid), state.state_file().write_text("")))
        assert state.end_announced()
    assert ended == [newer["pid"]]
