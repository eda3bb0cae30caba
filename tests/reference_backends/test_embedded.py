"""What the file and the SQLite store have in common: threads, loops, processes, and what happens when things break."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reference_backends import (
    ConfigurationError,
    FileStorageBackend,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    SqliteStorageBackend,
    StorageError,
    StorageSetupError,
    StorageUnavailableError,
    database,
    embedded,
    session_file,
    worker,
)
from reference_backends.session_file import SessionFile
from reference_backends.session_table import SessionTable

Backend = FileStorageBackend | SqliteStorageBackend
Build = Callable[..., SessionData]
Open = Callable[..., Backend]

WORKER = Path(__file__).with_name("embedded_worker.py")
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
    """A handle on the store at ``path``, not yet opened."""
    return lambda **options: CLASSES[kind](path, **options)


class SetClock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def locked(kind: str, path: Path) -> Iterator[None]:
    """Inside it somebody else is writing."""
    if kind == "file":
        with open(f"{path}.lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()


def every_call(backend: Backend, session: Build) -> list[Callable[[], Awaitable[Any]]]:
    """Each method that needs the store, ``init`` first."""
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


def assert_threads_end(kind: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"mcp-storage {kind}":
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


def test_what_was_kept_is_there_after_a_new_open(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session("s1", tokens={"a": [1, 2.5, None]}, headers={}))
        await backend.create_session(session("gone"))
        await backend.update_session("alice", "s1", {"active": False})
        await backend.remove_session("alice", "gone")
        await backend.disconnect()
        again = build()
        await again.init()
        assert await again.get_identity_sessions_data("alice") == [
            session("s1", tokens={"a": [1, 2.5, None]}, headers={}, active=False)
        ]
        await again.disconnect()

    asyncio.run(scenario())


def test_expiry_is_kept_and_judged_by_the_readers_clock(build: Open, session: Build) -> None:
    clock = SetClock()

    async def scenario() -> None:
        backend = build(clock=clock, default_ttl=100)
        await backend.init()
        await backend.create_session(session("short"), ttl=0.5)
        await backend.create_session(session("default"))
        await backend.create_session(session("long"), ttl=315_576_000)
        await backend.disconnect()
        await backend.init()
        clock.now += 0.499
        assert await backend.get_session("alice", "short") is not None
        clock.now += 0.002
        assert await backend.get_session("alice", "short") is None
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("alice", "short", {})
        await backend.create_session(session("short", server_name="new"), ttl=10)
        assert await backend.get_session("alice", "short") == session("short", server_name="new")
        clock.now += 100
        assert await backend.get_identity_mcp_sessions("alice") == ["long"]
        assert [each.session_id for each in await backend.get_identity_sessions_data("alice")] == ["long"]
        assert await backend.get_all_session_ids() == ["long"]
        await backend.cleanup_expired_sessions()
        await backend.update_session("alice", "long", {})
        clock.now -= 50  # what was only hidden would show again
        assert await backend.get_all_session_ids() == ["long"]
        clock.now += 151
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_two_handles_see_each_other_at_once(build: Open, session: Build) -> None:
    async def scenario() -> None:
        one, two = build(), build()
        await one.init()
        await two.init()
        await one.create_session(session())
        assert await two.get_session("alice", "s1") == session()
        with pytest.raises(SessionExistsError):
            await two.create_session(session())
        for name in ("aa", "bb", "cc"):  # of one length, within one tick of the clock
            await two.update_session("alice", "s1", {"server_name": name})
            assert (await one.get_identity_sessions_data("alice"))[0].server_name == name
            assert (await one.get_session("alice", "s1") or session()).server_name == name
        await one.remove_session("alice", "s1")
        assert await two.get_all_session_ids() == []
        await one.create_session(session("s2"))
        await two.clear_all()
        assert await one.get_identity_mcp_sessions("alice") == []
        await one.disconnect()
        await two.create_session(session("s3"))
        assert await two.get_all_session_ids() == ["s3"]
        await two.disconnect()

    asyncio.run(scenario())


def test_of_concurrent_creates_one_succeeds_and_no_update_is_lost(build: Open, session: Build) -> None:
    fields = ["server_id", "server_name", "server_url", "callback_url", "code_verifier", "client_id"]

    async def scenario() -> None:
        handles = [build(), build()]
        for handle in handles:
            await handle.init()
        outcomes = await asyncio.gather(
            *(handles[number % 2].create_session(session()) for number in range(20)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["SessionExistsError"] * 19
        for round_ in range(10):
            await asyncio.gather(
                *(
                    handles[number % 2].update_session("alice", "s1", {field: f"{field}{round_}"})  # type: ignore[misc]
                    for number, field in enumerate(fields)
                )
            )
            stored = await handles[0].get_session("alice", "s1")
            assert stored is not None
            assert [getattr(stored, field) for field in fields] == [f"{field}{round_}" for field in fields]
        for handle in handles:
            await handle.disconnect()

    asyncio.run(scenario())


def test_processes_lose_none_of_each_others_writes(kind: str, path: Path, build: Open, session: Build) -> None:
    backend = build()

    async def prepare() -> None:
        await backend.init()
        await backend.create_session(session("shared"))
        await backend.disconnect()

    async def check() -> None:
        await backend.init()
        shared = await backend.get_session("alice", "shared")
        assert shared is not None
        assert (shared.server_name, shared.server_id, shared.client_id) == (
            "server_name-9",
            "server_id-9",
            "client_id-9",
        )
        assert len(await backend.get_all_session_ids()) == 11
        await backend.disconnect()

    asyncio.run(prepare())
    names = ("server_name", "server_id", "client_id")
    workers = [run_worker(kind, path, "race", name, 10) for name in names]
    for process in workers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in workers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in workers:
        outputs += process.communicate()[0].split()
        assert process.returncode == 0
    assert sorted(outputs) == sorted(f"raced-{number}" for number in range(10))
    asyncio.run(check())


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    kind: str, path: Path, build: Open, acknowledged: int
) -> None:
    process = run_worker(kind, path, "create", "w")
    assert process.stdout is not None
    kept = [process.stdout.readline().strip() for _ in range(acknowledged)]
    process.kill()
    kept += process.communicate()[0].split("\n")[:-1]

    async def check() -> None:
        backend = build()
        await backend.init()
        stored = await backend.get_identity_sessions_data("alice")
        assert set(kept) <= {each.session_id for each in stored}
        assert all(each.tokens == {"a": each.session_id * 50} for each in stored)
        await backend.create_session(stored[0].model_copy(update={"session_id": "after"}))
        await backend.disconnect()

    asyncio.run(check())
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]


def test_one_handle_serves_several_loops_and_threads(build: Open, session: Build) -> None:
    backend = build()
    asyncio.run(backend.init())
    problems: list[BaseException] = []

    def work(name: str) -> None:
        async def scenario() -> None:
            await asyncio.gather(*(backend.create_session(session(f"{name}-{number}")) for number in range(10)))
            for number in range(10):
                assert await backend.get_session("alice", f"{name}-{number}") is not None

        try:
            asyncio.run(scenario())
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(asyncio.run(backend.get_all_session_ids())) == 40
    asyncio.run(backend.disconnect())


def test_writers_that_wait_share_a_commit(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    writing: Any = ENGINES[kind].writing

    def counted(self: Any) -> Any:
        nonlocal commits
        commits += 1
        return writing(self)

    async def scenario() -> None:
        nonlocal commits
        monkeypatch.setattr(ENGINES[kind], "writing", counted)
        backend = build()
        await backend.init()
        commits = 0
        creating = (backend.create_session(session(f"s{number}")) for number in range(64))
        outcomes = await asyncio.gather(*creating, backend.create_session(session("s0")), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome] == [SessionExistsError]
        assert len(await backend.get_all_session_ids()) == 64
        assert 1 <= commits <= 16
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_cancelled_call_is_done_or_not_and_hurts_nobody(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kept = set(await backend.get_all_session_ids())
        assert {f"s{number}" for number, outcome in enumerate(outcomes) if outcome is None} <= kept
        for session_id in kept:
            assert await backend.get_session("alice", session_id) == session(session_id)
        await backend.disconnect()
        await backend.init()
        assert set(await backend.get_all_session_ids()) == kept
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_call_that_was_cancelled_before_its_turn_never_runs(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    find: Any = ENGINES[kind].find

    def slow(self: Any, *arguments: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return find(self, *arguments)

    async def scenario() -> None:
        backend = build()
        await backend.init()
        monkeypatch.setattr(ENGINES[kind], "find", slow)
        reading = asyncio.ensure_future(backend.get_session("alice", "s1"))
        await asyncio.to_thread(entered.wait, 30)
        late = asyncio.ensure_future(backend.create_session(session("late")))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait([late])
        leave.set()
        await reading
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_call_cancelled_at_work_is_done_and_its_neighbours_are_answered(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    insert: Any = ENGINES[kind].insert

    def slow(self: Any, *arguments: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return insert(self, *arguments)

    async def scenario() -> None:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        backend = build()
        await backend.init()
        monkeypatch.setattr(ENGINES[kind], "insert", slow)
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(3)]
        await asyncio.to_thread(entered.wait, 30)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        leave.set()
        assert await asyncio.gather(*tasks[1:]) == [None, None]
        assert sorted(await backend.get_all_session_ids()) == ["s0", "s1", "s2"]
        assert not problems
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_does_not_answer_is_reported(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = threading.Event()
    find: Any = ENGINES[kind].find

    def hanging(self: Any, *arguments: Any) -> Any:
        assert leave.wait(30)
        return find(self, *arguments)

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        monkeypatch.setattr(ENGINES[kind], "find", hanging)
        monkeypatch.setattr(worker.Worker.read, "__defaults__", (0.05,))
        with pytest.raises(StorageUnavailableError, match="did not answer"):
            await backend.get_session("alice", "s1")
        leave.set()
        monkeypatch.undo()
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_lock_that_stays_is_reported_and_its_end_noticed(
    kind: str, path: Path, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "PATIENCE", 0.2)
    monkeypatch.setattr(database.execute, "__kwdefaults__", {"patience": 0.2})
    monkeypatch.setattr(SessionTable._execute, "__kwdefaults__", {"patience": 0.2})

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        with locked(kind, path):
            for call in (
                backend.create_session(session("s2")),
                backend.update_session("alice", "s1", {"server_name": "n"}),
                backend.remove_session("alice", "s1"),
                backend.clear_all(),
                backend.cleanup_expired_sessions(),
            ):
                with pytest.raises(StorageUnavailableError, match="locked by another process"):
                    await call
            assert await backend.get_session("alice", "s1") == session()
        await backend.create_session(session("s2"))
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_short_lock_is_waited_for(kind: str, path: Path, build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        with locked(kind, path):
            creating = asyncio.ensure_future(backend.create_session(session()))
            await asyncio.sleep(0.05)
            assert not creating.done()
        await creating
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_went_away_is_an_outage_and_comes_back(build: Open, path: Path, session: Build) -> None:
    """As when a volume is unmounted: the folder is moved away while the handle is open."""

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        away = path.parent.with_name("away")
        path.parent.rename(away)
        for call in every_call(backend, session):
            with pytest.raises(StorageUnavailableError):
                await call()
        assert not path.parent.exists()
        away.rename(path.parent)
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.create_session(session("s2"))
        path.parent.rename(away)
        await backend.disconnect()
        away.rename(path.parent)
        await backend.init()
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s2"]
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_store_that_was_replaced_is_not_written_to_in_vain(
    kind: str, build: Open, path: Path, session: Build
) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        copy = path.with_name("copy")
        shutil.copy(path, copy)
        copy.replace(path)
        if kind == "file":  # read by its path each time: the copy is the store now
            await backend.create_session(session("s2"))
        else:
            for call in every_call(backend, session):
                with pytest.raises(StorageUnavailableError, match="moved or replaced"):
                    await call()
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_full_disk_is_reported_and_leaves_the_old_data(kind: str, path: Path, build: Open) -> None:
    """A limit on the size of files stands for the full disk: the kernel refuses the write the same way."""
    output = run_worker(kind, path, "fill").communicate()[0].splitlines()
    attempts = output[0].split()[1:]
    kept = {name for name in attempts if not name.startswith("-")}
    assert 3 < len(kept) < len(attempts)
    assert output[1] == "room after"

    async def check() -> None:
        backend = build()
        await backend.init()
        stored = await backend.get_identity_sessions_data("alice")
        assert {each.session_id for each in stored} == kept | {"after"}
        assert all(each.tokens == {"a": "x" * 20_000} for each in stored)
        await backend.disconnect()

    asyncio.run(check())
    assert not [file for file in path.parent.iterdir() if file.name.endswith(".tmp")]


@pytest.mark.parametrize("readable_only", ["the file", "the folder"])
def test_what_may_not_be_written_is_a_setup_error(
    kind: str, path: Path, build: Open, session: Build, readable_only: str
) -> None:
    async def prepare() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(prepare())
    before = path.read_bytes()
    target = path if readable_only == "the file" else path.parent
    # A read-only bind mount holds for root too; the namespace of mounts ends with its process.
    script = f'mount --bind "{target}" "{target}" && mount -o remount,ro,bind "{target}" && exec "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            WORKER,
            kind,
            path,
            "write",
            "s2",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"this kernel grants no mount namespace: {done.stderr.strip()}")
    assert path.read_bytes() == before
    if kind == "file" and readable_only == "the file":
        # A mount point cannot be replaced: the store opens, and the write is refused.
        assert done.stdout == "-s2\n"
    else:
        assert "StorageSetupError" in done.stderr


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


def test_a_failed_open_can_be_tried_again(build: Open, path: Path, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        path.parent.parent.mkdir(exist_ok=True)
        path.parent.write_text("in the way")
        with pytest.raises(StorageSetupError):
            await backend.init()
        path.parent.unlink()
        await backend.init()
        await backend.create_session(session())
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_closed_store_answers_nothing_and_opens_again(kind: str, build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.disconnect()
        for _ in range(2):
            for call in every_call(backend, session)[1:]:
                with pytest.raises(StorageError, match="not open"):
                    await call()
            await asyncio.gather(backend.init(), backend.init())
            await backend.init()
            await backend.clear_all()
            await backend.create_session(session())
            await asyncio.gather(backend.disconnect(), backend.disconnect())
            await backend.disconnect()
        await backend.init()
        assert await backend.get_all_session_ids() == ["s1"]
        await backend.disconnect()

    asyncio.run(scenario())
    assert_threads_end(kind)


def test_a_handle_keeps_nothing_of_its_former_openings(build: Open) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        former = backend._serving
        await backend.disconnect()
        assert former is not None
        assert not former.release.alive

    asyncio.run(scenario())


def test_disconnect_finishes_what_waits(build: Open, session: Build) -> None:
    async def scenario() -> None:
        backend = build()
        await backend.init()
        tasks = [asyncio.ensure_future(backend.create_session(session(f"s{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        await backend.disconnect()
        assert await asyncio.gather(*tasks) == [None] * 20
        await backend.init()
        assert len(await backend.get_all_session_ids()) == 20
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_forgotten_handle_ends_its_thread(kind: str, build: Open) -> None:
    async def scenario() -> None:
        await build().init()

    asyncio.run(scenario())
    gc.collect()
    assert_threads_end(kind)


def test_a_handle_does_not_cross_a_fork(build: Open, session: Build) -> None:
    backend = build()
    asyncio.run(backend.init())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: the very thing that is tested
        child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(backend.get_all_session_ids())
        except StorageError as error:
            code = 0 if "forked" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    asyncio.run(backend.create_session(session()))
    asyncio.run(backend.disconnect())


def test_an_unexpected_error_reaches_the_caller_and_ends_nothing(
    kind: str, build: Open, session: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    async def scenario() -> None:
        backend = build()
        await backend.init()
        await backend.create_session(session())
        for method in ("find", "replace"):
            with monkeypatch.context() as patch:
                patch.setattr(ENGINES[kind], method, broken)
                with pytest.raises(RuntimeError, match="a mistake of ours"):
                    await backend.update_session("alice", "s1", {"server_name": "n"})
        assert await backend.get_session("alice", "s1") == session()
        await backend.disconnect()

    asyncio.run(scenario())


def test_a_handle_is_an_ordinary_embedded_store(build: Open) -> None:
    assert isinstance(build(), embedded.EmbeddedStorage)
