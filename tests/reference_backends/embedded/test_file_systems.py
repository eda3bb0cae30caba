"""File systems that refuse or ignore a rename, a mode, a sync or more data. ``init`` reports it and says what to do."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reference_backends import StorageError, StorageSetupError
from tests.parts import not_here
from tests.reference_backends.embedded.conftest import CLASSES, WORKER, Build, Open

AS_ROOT = "make test, as root"
FOLDER_CANNOT_BE_SYNCED = [errno.EINVAL, errno.ENOTSUP, errno.EIO]


def with_mounts(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the worker after a shell script that mounts. The mounts end with the process, and apply to root, too."""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'set -e; {script}; exec "$@"', "sh"]
    command += [sys.executable, str(WORKER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        not_here("mount", "this kernel grants no mount namespace", AS_ROOT)
    return done


def prepared(build: Open, session: Build, **options: Any) -> None:
    """Make the store, with the session s1 in it."""

    async def scenario() -> None:
        backend = build(**options)
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize("content", ["of a store", "nothing"])
def test_a_file_that_is_mounted_by_itself_is_refused(
    kind: str, path: Path, build: Open, session: Build, content: str
) -> None:
    """As with ``docker run -v ./s.json:/app/s.json``: the files next to it would stay in the container."""
    prepared(build, session)
    if content == "nothing":
        for file in path.parent.iterdir():
            file.unlink()
        path.touch()
    before = path.read_bytes()
    done = with_mounts(f'mount --bind "{path}" "{path}"', kind, path, "write", "s2")
    assert "StorageSetupError" in done.stderr
    assert "mount its folder instead" in done.stderr
    assert path.read_bytes() == before


def test_a_folder_that_is_mounted_is_as_good_as_any(kind: str, path: Path, build: Open, session: Build) -> None:
    prepared(build, session)
    folder = path.parent
    script = f'mount --bind "{folder}" "{folder}"; mount -o remount,bind,noatime "{folder}" 2>/dev/null || true'
    done = with_mounts(script, kind, path, "write", "s2")
    assert done.stdout == "s2\n", done.stderr


@pytest.mark.parametrize("readable_only", ["the file", "the folder"])
def test_what_is_mounted_read_only_is_a_setup_error(
    kind: str, path: Path, build: Open, session: Build, readable_only: str
) -> None:
    prepared(build, session)
    before = path.read_bytes()
    target = path if readable_only == "the file" else path.parent
    script = f'mount --bind "{target}" "{target}" && mount -o remount,ro,bind "{target}"'
    done = with_mounts(script, kind, path, "write", "s2")
    assert "StorageSetupError" in done.stderr
    assert path.read_bytes() == before


def test_a_disk_without_room_is_found_by_init(kind: str, path: Path, build: Open, session: Build) -> None:
    prepared(build, session)
    away = path.parent.with_name("away")
    shutil.copytree(path.parent, away)
    script = (
        f'mount -t tmpfs -o size=64k tmpfs "{path.parent}" && cp -a "{away}"/* "{path.parent}" && '
        f'{{ head -c 100000 /dev/zero > "{path.parent}/filler" || true; }} 2>/dev/null'
    )
    done = with_mounts(script, kind, path, "write", "s2")
    assert done.stdout == ""
    assert "StorageUnavailableError" in done.stderr
    assert "free some space" in done.stderr


def test_a_file_that_nobody_may_change_is_found_by_init(
    kind: str, path: Path, build: Open, session: Build, user_of_another_id: None
) -> None:
    prepared(build, session)
    before = path.read_bytes()
    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode:
        not_here("chattr", "this file system has no immutable files", "TMPDIR on ext4, as root")
    try:
        with pytest.raises(StorageSetupError, match="read and write"):
            asyncio.run(build().init())
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
    assert path.read_bytes() == before
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]


@pytest.fixture
def user_of_another_id() -> None:
    if os.geteuid() or not shutil.which("chattr"):
        not_here("chattr", "not root, or no chattr", AS_ROOT)


def test_root_leaves_the_file_to_its_owner(kind: str, path: Path, build: Open, session: Build) -> None:
    """As if an administrator ran a command on the store of an application that has a separate user."""
    if os.geteuid():
        not_here("chown", "not root", AS_ROOT)
    prepared(build, session)
    for file in (path.parent, *path.parent.iterdir()):
        os.chown(file, 4321, 4321)

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.update_session("alice", "s1", {"server_name": "n"})
        assert {file.name: file.stat().st_uid for file in path.parent.iterdir()} == {
            file.name: 4321 for file in path.parent.iterdir()
        }
        await backend.disconnect()

    asyncio.run(scenario())


@contextmanager
def bindfs(back: Path, front: Path, *options: str) -> Iterator[None]:
    if os.geteuid() or not shutil.which("bindfs"):
        not_here("bindfs", "not root, or no bindfs", AS_ROOT)
    front.mkdir()
    if subprocess.run(["bindfs", *options, back, front], capture_output=True, check=False).returncode:
        not_here("bindfs", "this kernel has no FUSE", "modprobe fuse, as root")
    try:
        yield
    finally:
        subprocess.run(["umount", front], check=True)


@pytest.mark.parametrize("options", [["--chmod-deny", "-p", "0777"], ["--chmod-ignore", "-p", "0777"]], ids=str)
def test_a_file_system_without_modes_is_a_warning(
    kind: str, tmp_path: Path, session: Build, key: str, caplog: pytest.LogCaptureFixture, options: list[str]
) -> None:
    (tmp_path / "back").mkdir()
    with bindfs(tmp_path / "back", tmp_path / "front", *options):
        prepared(lambda **given: CLASSES[kind](tmp_path / "front" / "s", **given), session, encryption_key=key)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "(mode 0777): the file system did not keep mode 0600" in caplog.text
        assert "encryption key" in caplog.text


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOTSUP, None], ids=["EPERM", "ENOTSUP", "ignored"])
def test_modes_that_cannot_be_set_are_a_warning(
    path: Path, build: Open, session: Build, key: str, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, refusal: int | None,
) -> None:  # fmt: skip
    """A mock replaces such a file system, for machines that can't mount one."""
    prepared(build, session)
    path.chmod(0o644)
    os.chmod(path.parent, 0o755)
    caplog.clear()

    def chmod(*_: Any, **__: Any) -> None:
        if refusal is not None:
            raise OSError(refusal, os.strerror(refusal))

    opened = os.open
    monkeypatch.setattr(os, "chmod", chmod)
    monkeypatch.setattr(os, "open", lambda file, flags, *_, **__: opened(file, flags, 0o644))
    asyncio.run(build(encryption_key=key).init())
    assert f"{path} (mode 0644)" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_private_file_is_no_warning(build: Open, session: Build, key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    prepared(build, session, encryption_key=key)
    assert [record for record in caplog.records if record.name == "reference_backends"] == []


def after_the_rename(name: str, code: int) -> tuple[Any, str, Callable[..., Any]]:
    """Return the owner, the name and the replacement of a system call. It fails after the rename of the new content."""
    owner: Any = fcntl if name == "flock" else os
    real = getattr(owner, name)

    def failing(descriptor: Any, *arguments: Any) -> Any:
        is_folder = name != "flock" and stat.S_ISDIR(os.fstat(descriptor).st_mode)
        unlocks = name == "flock" and arguments == (fcntl.LOCK_UN,)
        if is_folder or unlocks:
            if name == "close":
                real(descriptor)
            raise OSError(code, os.strerror(code))
        return real(descriptor, *arguments)

    return owner, name, failing


@pytest.mark.parametrize(
    ("call", "code"),
    [*(("fsync", code) for code in FOLDER_CANNOT_BE_SYNCED), ("close", errno.EIO), ("flock", errno.EIO)],
)
def test_what_fails_after_the_write_does_not_count_as_the_write(
    tmp_path: Path, session: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str,
    code: int,
) -> None:  # fmt: skip
    """A mock is used, because no real disk fails at a chosen step."""

    async def scenario() -> None:
        backend, other = CLASSES["file"](tmp_path / "s"), CLASSES["file"](tmp_path / "s")
        await backend.init()
        await other.init()
        with monkeypatch.context() as patch:
            patch.setattr(*after_the_rename(call, code))
            await backend.create_session(session())
            await backend.update_session("alice", "s1", {"server_name": "n"})
            await backend.remove_session("alice", "s1")
            await backend.create_session(session("s2"))
        await other.create_session(session("s3"))
        assert await backend.get_identity_mcp_sessions("alice") == ["s2", "s3"]
        await backend.disconnect()
        await other.disconnect()

    asyncio.run(scenario())
    said = "a power failure may undo it" in caplog.text
    assert said == (call == "fsync" and code == errno.EIO)


def test_a_folder_that_cannot_be_opened_for_want_of_descriptors_fails_before_the_write(
    tmp_path: Path, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refusing(file: Any, flags: int, *mode: int, **more: Any) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(file, flags, *mode, **more)

    async def scenario() -> None:
        backend = CLASSES["file"](tmp_path / "s")
        await backend.init()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refusing)
            with pytest.raises(StorageError):
                await backend.create_session(session())
        assert await backend.get_all_session_ids() == []
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_link_in_place_of_the_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageSetupError, match=r"s\.lock: Too many levels of symbolic links"):
        asyncio.run(CLASSES["file"](tmp_path / "s").init())
    assert not (tmp_path / "elsewhere").exists()
