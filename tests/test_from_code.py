"""``judge`` and ``judge_sync``: the suite without a pytest session."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability, NotConformantError, judge, judge_sync, load_clauses
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.report.model import Report
from reference_backends import Clock, MemoryStorageBackend, SessionData, StorageBackend, StorageError

SOME = ["RT-1", "LC", "EX-2", "MX-3", "DU-1", "FA-1"]


class Forgetful(MemoryStorageBackend):
    """It finds no session again."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        return None


class ForgetfulHarness(BackendHarness):
    name = "forgetful"
    capabilities = frozenset({Capability.CLOCK})
    store = Forgetful
    left = 0

    async def __aexit__(self, *exc: object) -> None:
        type(self).left += 1

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> StorageBackend:
        backend = self.store(**({} if clock is None else {"clock": clock}))
        await backend.init()
        return backend


def outcomes(report: dict[str, Any]) -> dict[str, Any]:
    (backend,) = report["backends"]
    rows = {row["id"]: (row["outcome"], row["message"], row["reproduce"]) for row in backend["clauses"]}
    return {**rows, "verdict": backend["verdict"], "capabilities": backend["capabilities"]}


class Exclusive(Forgetful):
    """Refuses a second handle, as an embedded database that is open already."""

    is_open = False

    async def init(self) -> None:
        if Exclusive.is_open:
            try:
                raise OSError("the file is locked")
            except OSError as error:
                raise StorageError("cannot open") from error
        Exclusive.is_open = True
        await super().init()

    async def disconnect(self) -> None:
        Exclusive.is_open = False
        await super().disconnect()


class ExclusiveHarness(ForgetfulHarness):
    """Says that two handles may be open at the same time."""

    capabilities = frozenset({Capability.CLOCK, Capability.SHARED})
    store = Exclusive


def test_an_error_of_the_store_names_its_cause() -> None:
    judged = judge_sync(ExclusiveHarness, tier="smoke", clauses=["HA-1"], seed=3)
    (row,) = (row for row in judged.clauses if row.outcome.value == "failed")
    assert any(note.startswith("caused by OSError: the file is locked, raised at ") for note in row.notes), row.notes


class LocksItself(MemoryStorageBackend):
    """Refuses every call after one that was cancelled, as a database does whose transaction was left open."""

    def __init__(self, locked: list[bool], **options: Any) -> None:
        super().__init__(**options)
        self.locked = locked

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        if self.locked:
            raise StorageError("the database is locked")
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.locked.append(True)
            raise
        await super().create_session(session, ttl)


class LocksItselfHarness(ForgetfulHarness):
    def __init__(self) -> None:
        self.locked: list[bool] = []

    def store(self, **options: Any) -> StorageBackend:  # type: ignore[override]
        return LocksItself(self.locked, **options)


def test_a_store_that_a_cancelled_call_has_locked_is_replaced() -> None:
    judged = judge_sync(LocksItselfHarness, tier="smoke", clauses=["CA-1", "HA-1"], seed=3)
    assert {row.id: row.outcome.value for row in judged.clauses if row.id in ("CA-1", "HA-1")} == {
        "CA-1": "failed",
        "HA-1": "passed",
    }


@pytest.mark.parametrize("name", ["memory", "sqlite"])
def test_it_reports_what_the_command_line_reports(name: str, tmp_path: Path) -> None:
    options = [f"--mcp-backend={name}", "--mcp-tier=smoke", f"--mcp-clause={','.join(SOME)}", "--hypothesis-seed=7"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    done = subprocess.run([*command, "--mcp-report=r.json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    judged = judge_sync(name, tier="smoke", clauses=SOME, seed=7)
    assert outcomes(judged.to_json()) == outcomes(json.loads((tmp_path / "r.json").read_text(encoding="utf-8")))
    assert judged.passed
    judged.raise_if_not_conformant()


def test_a_store_that_is_not_conformant(tmp_path: Path) -> None:
    judged = judge_sync(ForgetfulHarness, tier="smoke", clauses=["RT-1", "LC-2"], seed=3)
    assert (judged.verdict, judged.passed) == ("not_conformant", False)
    assert [cause.clauses for cause in judged.causes] == [["RT-1"]]
    assert {row.id: row.outcome.value for row in judged.clauses if row.outcome.value != "not_measured"} == {
        "RT-1": "failed", "LC-2": "passed"}  # fmt: skip
    row = next(row for row in judged.clauses if row.id == "RT-1")
    assert row.reproduce == "judge_sync(ForgetfulHarness, tier='smoke', clauses=['RT-1'], seed=3)"
    with pytest.raises(
        NotConformantError, match=r"ForgetfulHarness: not conformant .*\nRT-1 \(MUST\) failed: "
    ) as caught:
        judged.raise_if_not_conformant()
    assert "LC-2" not in str(caught.value)
    judged.write(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").backends[0].verdict == "not_conformant"
    with pytest.raises(ValueError, match="ending must be one of"):
        judged.write(tmp_path / "report.pdf")


async def test_the_callers_loop_stays_free_and_hears_of_each_clause() -> None:
    heard: list[tuple[str, int, int]] = []
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    judged = await judge(
        MemoryHarness, tier="smoke", clauses=["LC-1", "LC-2"], progress=lambda *said: heard.append(said)
    )
    ticking.cancel()
    assert judged.passed
    assert judged.backend.exercised.branches > 0
    assert heard == [("LC-1", 1, 2), ("LC-2", 2, 2)]
    assert ticks > 10


async def test_a_cancelled_call_destroys_the_store() -> None:
    begun = asyncio.Event()
    before = ForgetfulHarness.left
    work = asyncio.create_task(judge(ForgetfulHarness, tier="smoke", progress=lambda *_: begun.set()))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert ForgetfulHarness.left == before + 1


def test_a_callable_needs_permission_for_store_wide_clauses() -> None:
    with pytest.raises(NotConformantError, match=r"LC-10 \(MUST\) not measured"):
        judge_sync(MemoryStorageBackend, tier="smoke", clauses=["LC-10"]).raise_if_not_conformant()
    judge_sync(MemoryStorageBackend, tier="smoke", clauses=["LC-10"], allow_destructive=True).raise_if_not_conformant()


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("memroy", {}, "is 'memory' meant"),
        (3, {}, "neither a BackendHarness subclass nor a callable"),
        ("memory", {"tier": "smok"}, "unknown tier 'smok'"),
        ("memory", {"clauses": ["XX-1"]}, "no clause or group 'XX-1'"),
    ],
)
def test_arguments_that_are_not_valid(backend: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_sync(backend, **options)


def test_nothing_of_the_store_is_printed(tmp_path: Path) -> None:
    """A program that has not set up logging would print each warning about a missing key."""
    program = "from pytest_mcp_storage import judge_sync\njudge_sync('memory', tier='smoke', clauses=['LC-1'])\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_clause_is_in_the_report() -> None:
    judged = judge_sync("memory", tier="smoke", clauses=["LC-2"])
    assert [row.id for row in judged.clauses] == [clause.id for clause in load_clauses()]
