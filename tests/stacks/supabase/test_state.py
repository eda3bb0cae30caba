"""The file that tells of the stack that is up."""

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


def test_it_tells_while_the_stack_is_up_and_then_nothing() -> None:
    assert state.announced_stack() is None
    with state.holding() as announce:
        assert state.announced_stack() is None
        announce(STACK)
        assert state.announced_stack() == STACK
    assert state.announced_stack() is None


def test_of_two_stacks_the_second_is_refused_before_it_starts() -> None:
    with state.holding(), pytest.raises(ConfigurationError, match="stack down"), state.holding():
        pass


def test_one_who_only_looks_is_in_nobodys_way() -> None:
    """Reading takes the lock for a moment; whoever announces a stack just then waits for it."""
    looking = state.state_file().open("a+")
    fcntl.flock(looking, fcntl.LOCK_SH)
    looked = threading.Timer(0.05, looking.close)
    looked.start()
    with state.holding():
        looked.join()


def test_what_a_killed_process_left_is_nothing() -> None:
    state.state_file().write_text('{"pid": 1, "stack": {')
    assert state.announced_stack() is None
    assert not state.end_announced()
    with state.holding():
        assert state.announced_stack() is None


def test_a_file_that_can_not_be_opened_is_named_with_the_way_out() -> None:
    """As one that another user made; a folder can be opened by nobody, root included."""
    state.state_file().mkdir()
    for look in (state.announced_stack, state.end_announced, lambda: state.holding().__enter__()):
        with pytest.raises(StorageSetupError, match=r"stack\.json can't be opened .*MCP_STORAGE_CACHE"):
            look()


def test_a_stack_of_another_version_is_told_and_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    with state.holding() as announce:
        announce(STACK)
        newer = json.loads(state.state_file().read_text())
        newer["stack"]["colour"] = "blue"
        state.state_file().write_text(json.dumps(newer))
        with pytest.raises(StorageSetupError, match="stack down"):
            state.announced_stack()
        monkeypatch.setattr("os.kill", lambda pid, by: (ended.append(pid), state.state_file().write_text("")))
        assert state.end_announced()
    assert ended == [newer["pid"]]
