"""Every snippet of README.md, CONTRIBUTING.md and the pages of docs/ is executed, or checked by its own parser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from sybil import Example

import pytest_mcp_storage
from pytest_mcp_storage.cli import COMMANDS, main
from pytest_mcp_storage.report.model import BackendReport, ClauseReport, Report
from pytest_mcp_storage.report.write import write
from pytest_mcp_storage.spec.outcome import Outcome
from tests.docs import shell
from tests.docs.snippets import NOT_RUN, PAGES, ROOT, examples, python, save
from tests.parts import NPM, missing

STORE = """\
from pytest_mcp_storage.harnesses.memory import MemoryHarness as MyHarness
from reference_backends import MemoryStorageBackend as MyStore


def make_store():
    return MyStore(encryption_key="5e" * 32)
"""
"""The reader's module, which the pages call mypackage.storage and mypackage.testing."""
BACKEND_IN_JS = """\
const rows = new Map(), key = (...names) => JSON.stringify(names);
const named = (name) => Object.assign(new Error(), { name });
const live = () => [...rows.values()].filter((row) => row.end > Date.now());
const end = (ttl = 43200) => Date.now() + 1000 * ttl;
export class MyBackend {
  generateSessionId() { return crypto.randomUUID(); }
  async createSession(session, ttl) {
    if (await this.getSession(session.identity, session.sessionId)) throw named("SessionExistsError");
    rows.set(key(session.identity, session.sessionId), { session: structuredClone(session), end: end(ttl) });
  }
  async updateSession(identity, id, changes, ttl) {
    const old = await this.getSession(identity, id);
    if (!old) throw named("SessionNotFoundError");
    rows.set(key(identity, id), { session: structuredClone({ ...old, ...changes }), end: end(ttl) });
  }
  async getSession(identity, id) {
    return live().map((row) => row.session).find((each) => each.identity === identity && each.sessionId === id) ?? null;
  }
  async getIdentitySessionsData(identity) {
    return live().map((row) => row.session).filter((each) => each.identity === identity);
  }
  async getIdentityMcpSessions(identity) {
    return (await this.getIdentitySessionsData(identity)).map((each) => each.sessionId);
  }
  async getAllSessionIds() { return live().map((row) => row.session.sessionId); }
  async removeSession(identity, id) { rows.delete(key(identity, id)); }
  async clearAll() { rows.clear(); }
  async cleanupExpiredSessions() { for (const [name, row] of rows) if (row.end <= Date.now()) rows.delete(name); }
  async disconnect() {}
}
"""
BEFORE = {
    "docs/stores.md": """\
from mcp.shared.auth import OAuthClientMetadata
from reference_backends import MemoryStorageBackend
storage, open_browser, wait_for_code = MemoryStorageBackend(), print, print
metadata = OAuthClientMetadata(redirect_uris=["http://localhost:3030/callback"])
""",
    "docs/security.md": """\
import asyncio
from reference_backends import SqliteStorageBackend
storage = SqliteStorageBackend("sessions.db", encryption_key="f0" * 32)
asyncio.run(storage.init())
asyncio.run(storage.disconnect())
""",
}
"""What the text before a snippet introduces."""
QUICK = ["RT-1"]
"""The clauses that are judged where a snippet judges a store: the snippet is tested, not the store."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder as a reader's project: the current one, with a store, a report, and no server."""
    (tmp_path / "mypackage").mkdir()
    for module in ("__init__", "storage", "testing"):
        (tmp_path / f"mypackage/{module}.py").write_text(STORE, encoding="utf-8")
    (tmp_path / "my-backend.mjs").write_text(BACKEND_IN_JS, encoding="utf-8")
    clause = ClauseReport("EX-2", "MUST", Outcome.PASSED)
    backend = BackendReport("memory", "", "", [], "conformant", [clause])
    write(Report("suite", "2026-11", "smoke", 0, [backend]), tmp_path / "conformance.json")
    for name in ("REDIS_URL", "SUPABASE_URL", "STORAGE_ENCRYPTION_KEY", "MCP_TS_STORAGE_STRICT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MCP_TS_STORAGE_TYPE", "memory")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    quick = partial(pytest_mcp_storage.judge, clauses=QUICK), partial(pytest_mcp_storage.judge_sync, clauses=QUICK)
    monkeypatch.setattr(pytest_mcp_storage, "judge", quick[0])
    monkeypatch.setattr(pytest_mcp_storage, "judge_sync", quick[1])
    return tmp_path


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


JUDGING = ROOT / "docs/judge-from-code.md"


@pytest.mark.parametrize(
    "page",
    [pytest.param(each, marks=pytest.mark.slow if each == JUDGING else (), id=name_of(each)) for each in PAGES],
)
def test_every_snippet_of_a_page(page: Path, project: Path, pytestconfig: pytest.Config) -> None:
    if "\n$ jq " in page.read_text(encoding="utf-8") and not shutil.which("jq"):
        missing("jq", "no jq", "apt-get install jq, as root")
    for example in examples(page):
        if not example.namespace:
            example.namespace.update(pytestconfig=pytestconfig, __name__="snippet")
            exec(BEFORE.get(name_of(page), ""), example.namespace)
        example.evaluate()


def snippets_with(part: str, page: str = "") -> list[Example]:
    pages = [ROOT / page] if page else PAGES
    return [each for one in pages for each in examples(one) if part in each.parsed]


@pytest.mark.parametrize(("page", "part"), NOT_RUN, ids=lambda each: each[:40])
def test_what_is_not_run_is_still_in_its_page(page: str, part: str) -> None:
    assert len(snippets_with(part, page)) == 1
    for named in re.findall(r"[\w/]+/[\w.]+", NOT_RUN[page, part]):
        assert (ROOT / named).exists(), named


def pytest_commands() -> Iterator[tuple[Path, str]]:
    """Yield each pytest command of the pages once, with its page, but for those that are not to be run."""
    seen = set()
    for page in PAGES:
        left_out = [part for where, part in NOT_RUN if where == name_of(page)]
        for example in examples(page):
            for command in shell.commands(example.parsed) if example.region.evaluator.__name__ == "commands" else ():
                if command.startswith("pytest ") and command not in seen and not any(
                    part in example.parsed for part in left_out
                ):  # fmt: skip
                    seen.add(command)
                    yield page, command


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "command"),
    [
        pytest.param(*each, marks=pytest.mark.npm if "node " in each[1] else (), id=each[1])
        for each in pytest_commands()
    ],
)
def test_a_pytest_command_judges(page: Path, command: str, project: Path) -> None:
    if "node " in command:
        NPM.require()
        CliRunner().invoke(main, ["bridge-kit", "."], catch_exceptions=False)
    for example in examples(page):
        save(example)
        before, found, _ = example.parsed.partition(command)
        for each in shell.commands(before) if found else ():
            if each.startswith("mcp-storage new-harness "):
                shell.run(each)
    output = shell.run_pytest(command, f"--mcp-clause={','.join(QUICK)}", "--mcp-tier=smoke", "--mcp-no-coverage")
    assert "1 passed" in output


@pytest.mark.server
def test_a_snippet_that_needs_a_server() -> None:
    (example,) = snippets_with('with start_stack("native"', "docs/supabase-stack.md")
    exec(compile(example.parsed, example.path, "exec"), {})


FOREIGN = {"--yes", "--include-all"}
"""Options of Supabase's command line."""


def test_an_option_in_the_text_exists(pytestconfig: pytest.Config) -> None:
    """Options in the running text are checked against all that pytest and mcp-storage know."""

    def options(command: click.Command) -> Iterator[str]:
        yield from (name for each in command.params for name in (*each.opts, *each.secondary_opts))
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            yield from options(inner)

    context = click.Context(main)
    known = {"--help", *FOREIGN}
    for name in COMMANDS:
        known.update(options(main.get_command(context, name)))  # type: ignore[arg-type]
    parser: Any = pytestconfig._parser
    known.update(
        name for group in (parser._anonymous, *parser._groups) for each in group.options for name in each.names()
    )
    unknown = []
    for page in PAGES:
        for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
            for code in (each.content for each in token.children or () if each.type == "code_inline"):
                if code.startswith(("-", "pytest ", "mcp-storage ")):
                    named = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", code))
                    unknown += [f"{name_of(page)}: {each}" for each in named - known]
    assert unknown == []


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("pytest --mcp-teir=smoke", pytest.UsageError),
        ("mcp-storage report a.json --outptu b.svg", click.UsageError),
        ("mcp-storage stack up --detahc", click.UsageError),
        ("export KEY=$(mcp-storage kye)", click.UsageError),
        ("make nothing-of-this-name", AssertionError),
        ("pip install 'pytest-mcp-storage[server]'", AssertionError),
        ("cd examples/nowhere", AssertionError),
    ],
)
def test_a_wrong_command_is_noticed(command: str, error: type[BaseException], pytestconfig: pytest.Config) -> None:
    with pytest.raises(error):
        shell.check(command, pytestconfig)


def test_a_name_that_does_not_exist_is_noticed_in_what_is_not_run() -> None:
    (example,) = snippets_with("from fastmcp import FastMCP")
    example.parsed = example.parsed.replace("import SqliteStorageBackend", "import SqlitStorageBackend")
    with pytest.raises(ImportError):
        python(example)
