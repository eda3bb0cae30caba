"""Paths of a store, and the permissions of its files."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reference_backends import ConfigurationError, StorageError, StorageSetupError
from tests.reference_backends.embedded.conftest import CLASSES, Build, Open, assert_threads_end


def test_every_file_is_its_owners_alone(build: Open, path: Path, session: Build) -> None:
    old_mask = os.umask(0)
    try:

        async def scenario() -> None:
            backend = build()
            await backend.init()
            await asyncio.gather(*(backend.create_session(session(f"s{number}")) for number in range(10)))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert set(modes.values()) == {0o600}, modes
            assert len(modes) >= 2
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            await backend.disconnect()
            for file in path.parent.iterdir():
                file.chmod(0o644)
            await backend.init()
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
            await backend.create_session(session("more"))
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
            await backend.disconnect()

        asyncio.run(scenario())
    finally:
        os.umask(old_mask)


@pytest.mark.parametrize(
    "name", ["a b", "100%", "a?mode=ro", "#1", "é", "e\u0301", "file:x", "'", '"', "[a]*", ".hidden", "\udce9"]
)
def test_a_path_may_have_any_name(kind: str, tmp_path: Path, session: Build, name: str) -> None:
    async def scenario() -> None:
        for _ in range(2):
            backend = CLASSES[kind](tmp_path / name / name)
            await backend.init()
            await backend.update_session("alice", "s1", {}) if await backend.get_session(
                "alice", "s1"
            ) else await backend.create_session(session())
            await backend.disconnect()
        assert (tmp_path / name / name).is_file()
        assert all(name in file.name for file in (tmp_path / name).iterdir())

    asyncio.run(scenario())


def test_a_relative_path_stays_where_it_was_named(
    kind: str, tmp_path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = CLASSES[kind]("here/sessions")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    async def scenario() -> None:
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())
    assert (tmp_path / "here" / "sessions").is_file()


def test_a_link_and_its_target_are_one_store(kind: str, tmp_path: Path, session: Build) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "sessions")

    async def scenario() -> None:
        one, two = CLASSES[kind](tmp_path / "link"), CLASSES[kind](tmp_path / "real" / "sessions")
        await one.init()
        await two.init()
        await asyncio.gather(*((one, two)[number % 2].create_session(session(f"s{number}")) for number in range(10)))
        assert len(await one.get_all_session_ids()) == 10
        await one.disconnect()
        await two.disconnect()

    asyncio.run(scenario())
    assert (tmp_path / "link").is_symlink()


def test_a_link_may_lead_to_a_folder_that_is_still_to_be_made(kind: str, tmp_path: Path, session: Build) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "new" / "sessions")

    async def scenario() -> None:
        backend = CLASSES[kind](tmp_path / "link")
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())
    assert (tmp_path / "new" / "sessions").is_file()


@pytest.mark.parametrize("where", ["a folder", "below a file", "a pipe", "too long", "a loop of links"])
def test_a_path_that_can_hold_no_store_is_a_setup_error(kind: str, tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir(mode=0o755)
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe", 0o644)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = {
        "a folder": tmp_path / "folder",
        "below a file": tmp_path / "file" / "store",
        "a pipe": tmp_path / "pipe",
        "too long": tmp_path / ("x" * 300),
        "a loop of links": tmp_path / "loop",
    }[where]
    before = {file.name: file.lstat().st_mode for file in tmp_path.iterdir()}

    async def scenario() -> None:
        backend = CLASSES[kind](path)
        message = "not a regular file" if where in ("a folder", "a pipe") else "give the store a path"
        with pytest.raises(StorageSetupError, match=message):
            await backend.init()
        with pytest.raises(StorageError, match="not open"):
            await backend.get_all_session_ids()
        assert_threads_end(kind)
        await backend.disconnect()

    asyncio.run(scenario())
    after = {file.name: file.lstat().st_mode for file in tmp_path.iterdir() if not file.name.endswith(".lock")}
    assert after == before
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("path", ["", "a\0b", b"bytes"])
def test_what_is_no_path_is_refused_at_once(kind: str, path: Any) -> None:
    with pytest.raises(ConfigurationError):
        CLASSES[kind](path)


def test_folders_above_are_made_too(kind: str, tmp_path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = CLASSES[kind](tmp_path / "not" / "there" / "yet" / "sessions")
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())
