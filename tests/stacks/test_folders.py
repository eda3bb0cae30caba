"""Which folders are removed, and which only have a similar name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_mcp_storage.stacks import folders
from pytest_mcp_storage.stacks.folders import LOCK, run_folder, sweep
from pytest_mcp_storage.stacks.supabase.template import KEPT_TEMPLATES, remove_old_templates


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "temporary_root", lambda *, in_memory=False: tmp_path)
    return tmp_path


def left_behind(root: Path) -> Path:
    """Make the folder of a run that was killed."""
    with run_folder() as folder:
        shutil.copytree(folder, root / "copy")
    return (root / "copy").rename(folder)


def test_the_folder_of_a_killed_run_is_removed(root: Path) -> None:
    dead = left_behind(root)
    with run_folder() as live:
        sweep(root)
        assert not dead.exists()
        assert live.exists()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["mcp-storage-stack-demo", "mcp-storage-stack-abcdefghi", "mcp-storage-stack-ABCDEFGH", "mcp-storage-stack-"],
)
def test_a_folder_with_a_similar_name_stays(root: Path, name: str) -> None:
    (root / name).mkdir()
    (root / name / LOCK).touch()
    (root / name / "lock").touch()
    sweep(root)
    assert (root / name / LOCK).exists()


def test_a_project_that_has_a_lock_of_another_kind_stays(root: Path) -> None:
    mine = root / "mcp-storage-stack-projects"
    mine.mkdir()
    (mine / "lock").touch()
    sweep(root)
    assert (mine / "lock").exists()


def test_the_target_of_a_link_stays(root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    (root / "mcp-storage-stack-12345678").symlink_to(elsewhere)
    sweep(root)
    assert (elsewhere / LOCK).exists()


def test_another_users_folder_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = left_behind(root)
    monkeypatch.setattr(folders.os, "geteuid", lambda: os.getuid() + 1)
    sweep(root)
    assert dead.exists()


def test_only_old_templates_are_removed(tmp_path: Path) -> None:
    """MCP_STORAGE_CACHE may name a folder with another ``postgres`` in it."""
    names = [f"{number:024x}" for number in range(KEPT_TEMPLATES + 3)]
    for age, name in enumerate([*names, "data", "my-cluster", "0" * 23 + "x"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "PG_VERSION").write_text("17")
        os.utime(tmp_path / name, (1e9 + age, 1e9 + age))
    (tmp_path / ("f" * 24)).mkdir()  # no data directory
    remove_old_templates(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names[-KEPT_TEMPLATES:], "data", "my-cluster", "0" * 23 + "x", "f" * 24}
