"""The plugin as its users run it: pytest in a separate process and repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mcp_storage import load_clauses

pytest_plugins = ["pytester"]

CLAUSES = ("ID-3", "ID-5", "LC-12")
QUICK = ("--mcp-backend=memory", "--mcp-tier=smoke", f"--mcp-clause={','.join(CLAUSES)}")
ITEMS = sum(len(clause.tests) for clause in load_clauses() if clause.id in CLAUSES)
OWN_TESTS = "def test_own():\n    assert True\n"

ASYNCIO_QUIET = ("-o", "asyncio_default_fixture_loop_scope=function")
"""pytest-asyncio's own warning about itself."""

WAYS = {
    "serial": (),
    "two workers": ("-n2",),
    "importlib": ("--import-mode=importlib",),
    "append": ("--import-mode=append",),
    "asyncio strict": ("-o", "asyncio_mode=strict"),
    "asyncio auto": ("-o", "asyncio_mode=auto"),
    "asyncio absent": ("-p", "no:asyncio"),
    "anyio absent": ("-p", "no:anyio"),
    "random order": ("-p", "randomly"),
    "hypothesis' plugin absent": ("-p", "no:hypothesispytest"),
    "strict": ("--strict-markers", "-W", "error", *ASYNCIO_QUIET),
    "odd names": ("-o", "python_functions=check_*", "-o", "python_files=check_*.py"),
    "several": (
        "-n2",
        "--import-mode=importlib",
        "--strict-markers",
        "-W",
        "error",
        "-o",
        "asyncio_mode=auto",
        *ASYNCIO_QUIET,
    ),
}


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Pytest in a process, randomly ordered only where asked for."""
    randomly = () if "randomly" in args else ("-p", "no:randomly")
    given = tuple(
        arg
        for place, arg in enumerate(args)
        if "randomly" not in (arg, args[place + 1 : place + 2] and args[place + 1])
    )
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *randomly, *given)


@pytest.mark.parametrize("way", WAYS)
def test_the_suite_runs_whole_in_any_way(pytester: pytest.Pytester, way: str) -> None:
    pytester.makepyfile(test_own=OWN_TESTS)
    result = run(pytester, *QUICK, *WAYS[way], "--mcp-report=out.json")
    own = 0 if way == "odd names" else 1
    result.assert_outcomes(passed=ITEMS + own)
    assert result.ret == 0
    rows = _clauses(pytester.path / "out.json")
    assert sum(row["outcome"] == "passed" for row in rows.values()) == len(CLAUSES)


def test_the_suite_runs_in_an_empty_repository(pytester: pytest.Pytester) -> None:
    result = run(pytester, *QUICK)
    result.assert_outcomes(passed=ITEMS)
    assert result.ret == 0


def test_an_async_test_of_the_user_shares_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_own="""
        import asyncio, pytest
        from reference_backends import SessionData

        SESSION = dict(
            session_id="s", identity="i", server_url="u", transport_type="sse", callback_url="c", created_at=1
        )

        @pytest.mark.asyncio
        async def test_awaited(mcp_backend):
            await mcp_backend.create_session(SessionData(**SESSION))
            assert (await mcp_backend.get_session("i", "s")).server_url == "u"

        def test_run(mcp_backend, mcp_backend_harness):
            asyncio.run(mcp_backend.create_session(SessionData(**SESSION)))
            assert asyncio.run(mcp_backend.get_identity_mcp_sessions("i")) == ["s"]
            assert mcp_backend_harness.name in ("memory", "sqlite")
        """
    )
    result = run(pytester, *QUICK, "--mcp-backend=sqlite", "-m", "not mcp_conformance")
    result.assert_outcomes(passed=4, deselected=2 * ITEMS)
    assert result.ret == 1, "deselected clauses are not measured, and that is no success"


def test_without_a_backend_the_fixtures_say_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_own(mcp_backend): raise SystemExit")
    result = run(pytester, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*name a store with --mcp-backend*"])


@pytest.mark.parametrize(
    "lost", [("-k", "not look_alike"), ("-m", "not mcp_conformance"), ("--deselect", "test_mcp_identity.py")]
)
def test_a_clause_that_was_lost_fails_the_run(pytester: pytest.Pytester, lost: tuple[str, ...]) -> None:
    pytester.makepyfile(test_own=OWN_TESTS)
    result = run(pytester, *QUICK, *lost, "--mcp-report=out.json")
    assert result.ret == 1
    assert _clauses(pytester.path / "out.json")["ID-3"]["outcome"] == "not_measured"
    result.stdout.fnmatch_lines(["memory: NOT MEASURED*"])


STUCK_STORE = """
import asyncio, os, signal, threading
from pytest_mcp_storage import BackendHarness
from pytest_mcp_storage.engine import environment, loop, measure
from reference_backends import MemoryStorageBackend

environment.LONGEST_END_OF_HUNG = environment.GRACE = loop.GRACE = measure.GRACE = 0.1
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored

class Stuck(MemoryStorageBackend):
    async def create_session(self, session, ttl=None):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait()

class StuckHarness(BackendHarness):
    async def open(self, **options):
        return Stuck()

class Stays(BackendHarness):
    async def open(self, **options):
        store = MemoryStorageBackend()
        await store.init()
        return store

    async def __aexit__(self, *exc):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3600)
"""


def test_a_store_that_blocks_the_loop_can_be_interrupted(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(stuck=STUCK_STORE)
    result = run(pytester, "--mcp-backend=stuck:StuckHarness", "--mcp-clause=LC-1", "--mcp-report=out.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert _clauses(pytester.path / "out.json")["LC-1"]["outcome"] == "not_measured"
    result.stdout.fnmatch_lines(["problem: *StuckHarness was not destroyed*", "stuck:StuckHarness: NOT MEASURED*"])


def test_the_verdict_outlives_an_interrupted_destruction(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(stuck=STUCK_STORE)
    result = run(pytester, "--mcp-backend=stuck:Stays", "--mcp-clause=RT-6", "--mcp-report=out.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert _clauses(pytester.path / "out.json")["RT-6"]["outcome"] == "passed"
    result.stdout.fnmatch_lines(["problem: the store of stuck:Stays was not destroyed: KeyboardInterrupt*"])


def test_two_backends_run_side_by_side(pytester: pytest.Pytester) -> None:
    result = run(pytester, *QUICK, "--mcp-backend=file", "--mcp-report=out.json")
    result.assert_outcomes(passed=2 * ITEMS)
    report = json.loads((pytester.path / "out.json").read_text())
    assert [backend["name"] for backend in report["backends"]] == ["memory", "file"]


def test_ini_values_name_the_backends(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmcp_backends = memory\nmcp_tier = smoke\n")
    result = run(pytester, "--mcp-clause=RT-6")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*judging memory*smoke*"])


BROKEN_STORE = """
from pytest_mcp_storage import BackendHarness, Capability
from reference_backends import MemoryStorageBackend

class Careless(MemoryStorageBackend):
    async def disconnect(self): pass
    async def remove_session(self, identity, session_id): pass

class CarelessHarness(BackendHarness):
    name = "careless"
    async def open(self, *, encryption_key=None, clock=None, default_ttl=None):
        store = Careless()
        await store.init()
        return store

class Unopened(BackendHarness):
    async def open(self, **options):
        raise RuntimeError("start the server first: careless-server up")

class Blind(BackendHarness):
    capabilities = frozenset({Capability.AT_REST})
    async def open(self, **options): ...

def make():
    return Careless()
"""


def test_a_failure_is_reported_with_its_history_and_command(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    result = run(pytester, "--mcp-backend=careless:CarelessHarness", "--mcp-clause=LC-8", "--mcp-tier=smoke")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "LC-8 (MUST): after the removal get_session*returned a session that should not exist",
            "*should:*remove that session alone*",
            "*remove_session(*",
            "*reproduce: pytest --mcp-backend=careless:CarelessHarness --mcp-clause=LC-8 --hypothesis-seed=*",
            "careless:CarelessHarness: NOT CONFORMANT*",
        ]
    )


def test_a_failed_should_fails_the_run_only_when_strict(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    options = ("--mcp-backend=careless:CarelessHarness", "--mcp-clause=LC-12,LC-2", "--mcp-tier=smoke")
    assert run(pytester, *options).ret == 0
    assert run(pytester, *options, "--mcp-strict").ret == 1


def test_deviations_are_accepted_and_held_to(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    options = ("--mcp-backend=careless:CarelessHarness", "--mcp-clause=LC-8,LC-2", "--mcp-tier=smoke")
    known = "- clause: LC-8\n  reason: to be fixed\n"
    pytester.path.joinpath("known.yaml").write_text(known)
    assert run(pytester, *options, "--mcp-deviations=known.yaml").ret == 0
    pytester.path.joinpath("known.yaml").write_text(known + "- clause: LC-2\n  reason: was fixed\n")
    result = run(pytester, *options, "--mcp-deviations=known.yaml")
    assert result.ret == 1
    said = " ".join(result.stdout.str().split())
    assert "known.yaml:3: LC-2: the deviation is stale, the clause passes now; delete the entry" in said, said


def test_store_wide_clauses_wait_for_permission(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    options = ("--mcp-backend=careless:make", "--mcp-clause=ID-7", "--mcp-tier=smoke")
    held_back = run(pytester, *options)
    assert held_back.ret == 1
    held_back.stdout.fnmatch_lines(["*--mcp-allow-destructive*"])
    assert run(pytester, *options, "--mcp-allow-destructive").ret == 1, "and then the store's fault shows"


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_backend_that_cannot_be_opened_is_an_error(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    result = run(pytester, "--mcp-backend=careless:Unopened", "--mcp-clause=LC-1,LC-2", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*start the server first: careless-server up*"])
    assert "skipped" not in result.stdout.lines[-1]


MISTAKES = {
    "unknown backend": (("--mcp-backend=sqlit",), "*unknown backend 'sqlit'; is 'sqlite' meant?*memory*redis*"),
    "no such module": (("--mcp-backend=nowhere:Harness",), "*No module named 'nowhere'*"),
    "broken module": (("--mcp-backend=explodes:Harness",), "*ZeroDivisionError*"),
    "no such attribute": (("--mcp-backend=careless:Nobody",), "*careless:Nobody*has no attribute*"),
    "no harness": (("--mcp-backend=careless:BROKEN",), "*neither a BackendHarness subclass nor a callable*"),
    "missing method": (("--mcp-backend=careless:Blind",), "*Blind must define stored_bytes(), stored_fields()*"),
    "unknown clause": (("--mcp-backend=memory", "--mcp-clause=EX-99"), "*no clause or group 'EX-99'*"),
    "unknown revision": (("--mcp-backend=memory", "--mcp-revision=1999"), "*no revision '1999'*2026-11*"),
    "report nowhere": (("--mcp-backend=memory", "--mcp-report=bad.yaml/below.json"), "*can't be written*bad.yaml*"),
    "report of no kind": (("--mcp-backend=memory", "--mcp-report=report.txt"), "*ending must be one of*"),
    "unknown deviation": (("--mcp-backend=memory", "--mcp-deviations=bad.yaml"), "*bad.yaml:1*'EX-99'*delete*"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_bad_input_is_refused_before_the_run(pytester: pytest.Pytester, mistake: str) -> None:
    pytester.makepyfile(careless=BROKEN_STORE + "\nBROKEN = 1\n", explodes="1 / 0\n")
    pytester.path.joinpath("bad.yaml").write_text("- clause: EX-99\n  reason: none\n")
    options, message = MISTAKES[mistake]
    result = run(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_workers_share_the_seed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    options = ("--mcp-backend=careless:CarelessHarness", "--mcp-clause=LC-8", "--mcp-tier=smoke", "-n2")
    result = run(pytester, *options, "--mcp-report=out.json")
    seed = json.loads(pytester.path.joinpath("out.json").read_text())["seed"]
    result.stdout.fnmatch_lines([f"*reproduce: *--hypothesis-seed={seed} *"])


def test_loading_the_plugin_loads_nothing_heavy(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_own():
            heavy = {"hypothesis", "pydantic", "cryptography", "supabase", "redis", "docker", "testcontainers", "yaml"}
            assert heavy & set(sys.modules) == set()
        """
    )
    run(pytester, "-p", "pytest_mcp_storage.plugin").assert_outcomes(passed=1)


def test_junit_knows_the_clause(pytester: pytest.Pytester) -> None:
    run(pytester, *QUICK, "--junitxml=junit.xml")
    text = pytester.path.joinpath("junit.xml").read_text()
    assert '<property name="mcp_clause" value="ID-5"' in text
    assert '<property name="mcp_backend" value="memory"' in text


def test_the_same_seed_gives_the_same_verdict(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(careless=BROKEN_STORE)
    options = ("--mcp-backend=careless:CarelessHarness", "--mcp-clause=LC-8", "--hypothesis-seed=7", "--mcp-tier=smoke")
    histories = []
    for number in range(2):
        run(pytester, *options, f"--mcp-report={number}.json")
        row = _clauses(pytester.path / f"{number}.json")["LC-8"]
        assert row["reproduce"].endswith("--hypothesis-seed=7 --mcp-tier=smoke")
        histories.append((row["message"], len(row["history"])))
    assert histories[0] == histories[1]


def _clauses(path: Path) -> dict[str, dict[str, object]]:
    report = json.loads(path.read_text())
    return {row["id"]: row for row in report["backends"][0]["clauses"]}
