"""The parts of ``make fresh`` and ``make test`` that need no bare machine."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests import parts

ROOT = Path(__file__).parents[1]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return import_module("fresh")


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return import_module("step")


def test_the_machine_gets_the_way_to_the_registries_and_nothing_else(fresh: Any) -> None:
    here = {"HTTPS_PROXY": "p", "PIP_CERT": "c", "PIP_CONSTRAINT": "x", "CI": "true", "API_TOKEN": "s", "HOME": "/mine"}
    got = fresh.environment("bookworm-root", here)
    assert got == {**fresh.POOR, "HTTPS_PROXY": "p", "PIP_CERT": "c", "HOME": "/root"}


def test_one_user_has_no_home_and_the_other_one_that_root_owns(fresh: Any) -> None:
    assert "HOME" not in fresh.environment("bookworm-user", {})
    assert fresh.environment("trixie-user", {})["HOME"] == "/home/tester"


def test_settings_of_pip_are_carried_without_folders_of_this_machine(fresh: Any) -> None:
    listed = (
        ":env:.cert='/etc/ssl/all.crt'\nglobal.index-url='https://mirror.example/simple'\n"
        "global.constraint='/etc/c.txt'\nglobal.find-links='/opt/wheels'\nglobal.extra-index-url='file:///opt/simple'\n"
    )
    written = fresh.pip_settings(listed)
    assert written == "[global]\ncert = /etc/ssl/all.crt\nindex-url = https://mirror.example/simple\n"


def test_settings_of_npm_that_are_not_set_are_left_out(fresh: Any) -> None:
    values = {"registry": "https://mirror.example/", "proxy": "null", "cafile": "undefined", "noproxy": ""}
    assert fresh.npm_settings(values) == "registry=https://mirror.example/\n"


def test_the_mirror_is_debians_own_archive_or_the_one_that_is_set(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = "Other http://o.example/\nDebian-Security http://s.example/\nDebian http://d.example/\n"
    monkeypatch.setattr(fresh, "printed", lambda *_: targets)
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    assert fresh.mirror() == "http://d.example/"
    monkeypatch.setenv("DEBIAN_MIRROR", "http://mine.example/")
    assert fresh.mirror() == "http://mine.example/"


def test_what_the_script_lacks_is_said_with_what_installs_it(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(fresh.shutil, "which", lambda program: None if program == "debootstrap" else program)
    monkeypatch.setattr(fresh, "mirror", lambda: "")
    root, debootstrap, mirror = fresh.missing()
    assert "root" in root
    assert debootstrap == "debootstrap (apt-get install debootstrap)"
    assert "DEBIAN_MIRROR" in mirror


def test_a_machines_folder_is_removed_even_if_its_commands_fail(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh.tempfile, "tempdir", str(tmp_path))

    def fail() -> None:
        with fresh.folder("bookworm") as made:
            (made / "etc").mkdir()
            sys.exit("failed")

    with pytest.raises(SystemExit):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_something_is_mounted_stays(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh.tempfile, "tempdir", str(tmp_path))
    with fresh.folder("bookworm") as made:
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"36 35 98:0 / {made}/proc rw - proc proc rw\n")
        monkeypatch.setattr(fresh, "MOUNTS", mounts)
    assert made.is_dir()


def test_a_step_says_its_name_and_then_how_far_it_is(step: Any, capsys: pytest.CaptureFixture[str]) -> None:
    done = step.run("setup: long", "sh", "-c", "echo half; sleep 1; echo whole; exit 3", quiet=0.2)
    assert (done.returncode, done.stdout) == (3, "half\nwhole\n")
    first, *more = capsys.readouterr().out.splitlines()
    assert first == "setup: long"
    assert more
    assert all(line.endswith(" s: half") for line in more)


def test_a_step_prints_its_output_only_if_it_fails() -> None:
    def run(script: str) -> str:
        command = [sys.executable, ROOT / "tools" / "step.py", "name", "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    assert run("echo much") == "name\n"
    assert run("echo why; exit 1") == "name\nwhy\n\nfailed: name\n"


def test_the_last_lines_count_what_did_not_run_with_what_enables_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception) as skipped:
        parts.missing("container", "no Docker engine", "apt-get install docker.io, as root")
    reason = f"Skipped: {skipped.value}"
    assert parts.last_lines([reason, "Skipped: reads /proc", reason]) == [
        "Not run on this machine: 2 container tests (no Docker engine). To run them: apt-get install docker.io, as root"
    ]


def test_a_part_that_ci_must_have_fails_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="the CI machine must have it: make parts"):
        parts.missing("browser", "no Chromium", "make parts")
    with pytest.raises(pytest.skip.Exception):
        parts.not_here("bindfs", "this kernel has no FUSE", "modprobe fuse")


def test_without_a_home_the_cache_of_npm_packages_is_in_build(tmp_path: Path) -> None:
    def cache(**home: str) -> str:
        here = {key: value for key, value in os.environ.items() if key not in ("HOME", "MCP_STORAGE_CACHE")}
        command = ["make", "--silent", "--eval", "show: ; @echo $$MCP_STORAGE_CACHE", "show"]
        done = subprocess.run(command, cwd=ROOT, env={**here, **home}, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert cache() == str(ROOT / "build" / "cache")
    assert cache(HOME=str(tmp_path)) == ""
