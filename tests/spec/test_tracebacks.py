"""The place where a store raised an exception is given by file, line and function, and nothing else."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_mcp_storage.engine.recording import History, RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, assert_raises
from pytest_mcp_storage.spec.tracebacks import raised_at, without_import_system
from reference_backends import MemoryStorageBackend

SECRET = "sk-5eC3e7"
CODE = f"""
def get(name, token="{SECRET}"):
    return deeper(name)

def deeper(name):
    return {{}}[name]

def again(times):
    return again(times - 1) if times else {{}}["nope"]
"""


@pytest.fixture
def store_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Code of a store, in a folder from which it was imported."""
    folder = tmp_path / "somewhere"
    (folder / "theirs").mkdir(parents=True)
    path = folder / "theirs" / "store.py"
    path.write_text(CODE)
    monkeypatch.syspath_prepend(str(folder))
    module = ModuleType("theirs.store")
    exec(compile(CODE, str(path), "exec"), vars(module))
    return module


async def raised_by(read: Callable[[], Any]) -> Exception:
    """Return what a store's read raised, as the recording saw it."""

    class Store(MemoryStorageBackend):
        async def get_session(self, identity: str, session_id: str) -> Any:
            return read()

    with pytest.raises(Exception, match=r".") as caught:
        await RecordingBackend(Store(), "store", History).get_session("i", "s")
    return caught.value


async def test_the_frames_of_the_store_are_shown_and_no_values(store_module: ModuleType) -> None:
    reported = raised_at(await raised_by(lambda: store_module.get("nope")))
    assert reported.endswith(" → theirs/store.py:3 in get → theirs/store.py:6 in deeper")
    assert "recording.py" not in reported
    assert SECRET not in reported


async def test_of_many_frames_the_first_and_last_are_shown(store_module: ModuleType) -> None:
    reported = raised_at(await raised_by(lambda: store_module.again(30))).split(" → ")
    assert len(reported) == 5
    assert reported[0].endswith("in get_session")
    assert reported[2:] == ["…", *["theirs/store.py:9 in again"] * 2]


async def test_no_path_of_this_machine_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    innermost = raised_at(await raised_by(lambda: json.loads("{"))).rpartition(" → ")[2]
    assert innermost.startswith("decoder.py:")


async def test_another_error_than_the_one_asked_for_is_the_cause() -> None:
    async def breaks() -> None:
        raise LookupError("no such row")

    with pytest.raises(Violation) as caught:
        await assert_raises(ValueError, breaks(), doing="it")
    assert raised_at(caught.value) == "", "that one is the suite's own"
    assert isinstance(caught.value.__cause__, LookupError)
    assert raised_at(caught.value.__cause__).endswith(" in breaks")


def test_an_import_hook_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load modules by a hook that reads their source itself, as beartype's does."""

    class Hook(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            return super().get_code(fullname)

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path_hooks", [FileFinder.path_hook((Hook, [".py"]))])
    for name, code in (("mine_good", "import mine_bad\n"), ("mine_bad", "def (:\n")):
        (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(SyntaxError) as caught:
        import_module("mine_good")
    files = [each.filename for each in without_import_system(traceback.extract_tb(caught.tb))]
    assert __file__ not in files[1:], "the hook's own frame"
    assert str(tmp_path / "mine_good.py") in files
