"""``mcp-storage new-harness``: from the class of a store to a verdict, without an edit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import main
from pytest_mcp_storage.commands.new_harness.signature import SQLITE_URL, Argument, Signature, signature_of
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.spec.capabilities import Capability
from reference_backends import MemoryStorageBackend, SqliteStorageBackend

SAMPLES = Path(__file__).parent / "stores"
EXAMPLES = Path(__file__).parents[2] / "examples/servers"
ALL_OPTIONS = {"encryption_key": "encryption_key", "default_ttl": "default_ttl", "clock": "clock"}


class Bare: ...


class Database:
    def __init__(
        self, database_url: str = "sqlite+aiosqlite:///mine.db", *, keys: Any = (), now: Any = None
    ) -> None: ...


class Server:
    def __init__(self, dsn: str, pool_size: int = 5) -> None: ...


class Client:
    def __init__(self, client: Any, session_ttl: float = 1) -> None: ...


class OtherUnits:
    def __init__(self, folder: Path, key: bytes, ttl: timedelta | None = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821


class PassesOn(SqliteStorageBackend):
    def __init__(self, directory: str, **options: Any) -> None:
        super().__init__(Path(directory) / "sessions.db", **options)


async def later(file: str) -> None: ...


@pytest.mark.parametrize(
    ("store", "found"),
    [
        (Bare, Signature(is_async=False)),
        (MemoryStorageBackend, Signature(is_async=False, options=ALL_OPTIONS)),
        (
            Database,
            Signature(
                is_async=False,
                given=[Argument("database_url", SQLITE_URL)],
                options={"encryption_key": "keys", "clock": "now"},
                uses={"folder"},
            ),
        ),
        (Server, Signature(is_async=False, given=[Argument("dsn", "URL")], uses={"url"})),
        (Client, Signature(is_async=False, options={"default_ttl": "session_ttl"}, unknown=["client"])),
        (
            OtherUnits,
            Signature(is_async=False, given=[Argument("folder", "self.folder")], unknown=["key"], uses={"folder"}),
        ),
        (
            later,
            Signature(is_async=True, given=[Argument("file", 'str(self.folder / "sessions.db")')], uses={"folder"}),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_signature_shows(store: Any, found: Signature) -> None:
    assert signature_of(store) == found


def test_options_that_are_passed_on_are_those_of_the_base_class() -> None:
    assert signature_of(PassesOn).options == ALL_OPTIONS


@pytest.mark.parametrize(
    ("found", "capabilities"),
    [
        (Signature(is_async=False), set()),
        (Signature(is_async=False, options={"clock": "now"}), {Capability.CLOCK}),
        (Signature(is_async=False, unknown=["client"]), {Capability.DURABLE, Capability.SHARED}),
        (Signature(is_async=False, uses={"folder"}), {Capability.DURABLE, Capability.SHARED, Capability.CRASH}),
    ],
)
def test_what_is_declared(found: Signature, capabilities: set[Capability]) -> None:
    assert set(found.capabilities) == capabilities


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with the sample stores, as the working directory."""
    for path in (*SAMPLES.glob("*.py"), EXAMPLES / "sqlalchemy_store.py"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def new_harness(store: str) -> Result:
    return CliRunner().invoke(main, ["new-harness", store])


def test_the_next_command_is_printed_and_the_files_are_there(project: Path) -> None:
    done = new_harness("over_sqlite3:SqliteSessions")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == (
        "  pytest --mcp-backend=sqlite_sessions_harness:SqliteSessionsHarness --mcp-tier=smoke"
    )
    assert "declares KEY, DEFAULT_TTL, CLOCK, DURABLE, SHARED, CRASH." in done.output
    assert issubclass(resolve("sqlite_sessions_harness:SqliteSessionsHarness", project), object)  # type: ignore[arg-type]
    assert "judge_sync" in (project / "tests/test_sqlite_sessions_contract.py").read_text()
    workflow = yaml.safe_load((project / ".github/workflows/sqlite-sessions-conformance.yml").read_text())
    runs = [step["run"] for step in workflow["jobs"]["conformance"]["steps"] if "run" in step]
    assert runs[-1].startswith("pytest --mcp-backend=sqlite_sessions_harness:SqliteSessionsHarness ")


def test_it_overwrites_nothing(project: Path) -> None:
    assert new_harness("over_sqlite3:SqliteSessions").exit_code == 0
    assert new_harness("over_sqlite3:SqliteSessions").exit_code == 0, "the same files again"
    mine = project / "sqlite_sessions_harness.py"
    mine.write_text("mine")
    done = new_harness("over_sqlite3:SqliteSessions")
    assert done.exit_code == 1
    assert "sqlite_sessions_harness.py: already there, with other content" in done.output
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "reported"),
    [
        ("class Store:\n    def __init__(self, client): ...", "Edit store_harness.py first: make_client()."),
        ("class Store:\n    def __init__(self, url): ...", "Set STORE_URL to the URL of a server for tests."),
        ("class Store: ...", "Store has no init(), generate_session_id(), "),
    ],
)
def test_what_is_left_to_the_author_is_reported(project: Path, source: str, reported: str) -> None:
    (project / "left.py").write_text(source)
    done = new_harness("left:Store")
    assert done.exit_code == 0, done.output
    assert reported in done.output
    compile((project / "store_harness.py").read_text(), "store_harness.py", "exec")


@pytest.mark.parametrize(
    ("store", "reported"),
    [
        ("nowhere:Store", "No module named 'nowhere'"),
        ("over_sqlite3", "is no module:attribute"),
        ("over_sqlite3:TABLE", "is not a class of stores"),
        ("pytest_mcp_storage:BackendHarness", "is not a class of stores"),
    ],
)
def test_what_is_no_store_is_refused(project: Path, store: str, reported: str) -> None:
    done = new_harness(store)
    assert done.exit_code == 1
    assert reported in done.output
    assert not (project / "tests").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "store",
    ["over_sqlite3:SqliteSessions", "over_key_value:KeyValueSessions", "sqlalchemy_store:SqlAlchemyBackend"],
)
def test_a_store_gets_its_verdict_without_an_edit(project: Path, store: str) -> None:
    done = new_harness(store)
    assert done.exit_code == 0, done.output
    name = done.output.rpartition("--mcp-backend=")[2].split()[0]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--mcp-tier=smoke"]
    run = subprocess.run(
        [
            *command,
            f"--mcp-backend={name}",
            "--mcp-clause=HA,LC-1,LC-2,LC-3,LC-4,LC-8,LC-12,EX-6,EN-10,CA-4",
            "--mcp-no-coverage",
            "--mcp-report=out.json",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    (backend,) = json.loads((project / "out.json").read_text())["backends"]
    failed = [row for row in backend["clauses"] if row["outcome"] == "failed"]
    assert not failed, run.stdout
    assert " 1 skipped" in run.stdout, "the test that was written judges a store only where the plugin does not"
    assert sum(row["outcome"] == "passed" for row in backend["clauses"]) > 7
