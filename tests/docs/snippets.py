"""The snippets of the documents: sybil finds and evaluates them, by a rule for each language.

A fenced block names its language; an indented block is shell. The current folder is the reader's project: a snippet
whose first line is a comment with a file's name is saved there.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from markdown_it import MarkdownIt
from sybil import Document, Example, Lexeme, Region, Sybil

from pytest_mcp_storage import load_clauses
from pytest_mcp_storage.report.schema import report_schema
from pytest_mcp_storage.session.backends import GROUP
from pytest_mcp_storage.session.deviations import load_deviations
from tests.docs import shell

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
WORKFLOW = ROOT / "docs/ci/conformance.yml"
PROTOCOL = ROOT / "pytest_mcp_storage/bridge/protocol.schema.json"
OURS = ("reference_backends", "pytest_mcp_storage")

NOT_RUN = {
    ("docs/key-value.md", "from fastmcp import FastMCP"): "FastMCP is not installed: docs/fastmcp_login.py runs it",
    ("docs/mcp-oauth.md", "Sign in to an MCP server once"): "tests/reference_backends/mcp/test_page.py runs it",
    ("docs/supabase-stack.md", 'with start_stack("native"'): "test_a_snippet_that_needs_a_server runs it",
    ("docs/supabase-stack.md", "mcp-storage stack up --detach"): "tests/commands/test_stack.py runs these commands",
    ("docs/bench.md", "mcp-storage bench"): "it takes a minute: tests/speed runs it in parts",
    ("docs/stores.md", "mcp-storage migrate"): "it needs Redis: tests/reference_backends/maintenance runs it",
    ("docs/use-a-store.md", "mcp-storage migrate"): "it needs Redis: tests/reference_backends/maintenance runs it",
    ("docs/stores.md", "ACL SETUSER"): "it needs Redis: tests/reference_backends/redis/test_rights.py runs it",
    ("docs/guides.md", "cd examples/servers"): "it needs PostgreSQL: tests/test_examples.py judges this store",
    ("docs/deviations.md", "pytest --mcp-backend"): "an entry of the file has a date, after which it fails the run",
}
"""What is not executed, by page and a part of its text. Its options and the names that it imports are checked."""


def reason_not_to_run(example: Example) -> str:
    """Return why a snippet is not executed; empty if it is."""
    page = Path(example.path).relative_to(ROOT).as_posix()
    return next((why for (where, part), why in NOT_RUN.items() if where == page and part in example.parsed), "")


def save(example: Example) -> None:
    """Write a snippet that names its file to the current folder."""
    if named := re.match(r"(?:#|//) ([\w.-]+\.\w+)\n", example.parsed):
        Path(named[1]).write_text(example.parsed, encoding="utf-8")


def python(example: Example) -> None:
    """Execute Python, which may await; or, if it is not run, resolve what it imports from this project."""
    source = "\n" * example.line + example.parsed
    if reason_not_to_run(example):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
                exec(compile(ast.Module([node], []), example.path, "exec"), {})
        return
    save(example)
    code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    awaited = eval(code, example.namespace)
    if inspect.iscoroutine(awaited):
        asyncio.run(awaited)


def commands(example: Example) -> None:
    """Check each command, and run those that are quick."""
    for command in shell.commands(example.parsed):
        shell.check(command, example.namespace["pytestconfig"])
        if not reason_not_to_run(example):
            shell.run(command)


def workflow_or_deviations(example: Example) -> None:
    """Validate YAML: a file of deviations, a workflow, or jobs to add to one."""
    save(example)
    if Path("deviations.yaml").exists():
        assert load_deviations(Path("deviations.yaml"), [each.id for each in load_clauses()])
        return
    text = re.sub(r'^--8<-- "(.+)"$', lambda found: (ROOT / found[1]).read_text("utf-8"), example.parsed, flags=re.M)
    loaded: dict[Any, Any] = yaml.safe_load(text)
    if "jobs" not in loaded:
        whole = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
        loaded = {**whole, "jobs": {**whole["jobs"], **loaded}}
    loaded["on"] = loaded.pop(True)  # what "on" means in YAML 1.1
    jsonschema.validate(loaded, get_builtin_schema("vendor.github-workflows"))
    for step in (step for job in loaded["jobs"].values() for step in job["steps"]):
        for line in re.sub(r"\$\{\{.*?\}\}", "x", step.get("run", "")).splitlines():
            if line.startswith(("mcp-storage ", "pytest ", "pip ")):
                shell.check(line, example.namespace["pytestconfig"])


def settings(example: Example) -> None:
    """Check that TOML names ini values that pytest knows, and the group of our entry points."""
    loaded = tomllib.loads(example.parsed)
    ini = loaded.get("tool", {}).get("pytest", {}).get("ini_options", {})
    for name in ini:
        example.namespace["pytestconfig"].getini(name)  # raises for an unknown one
    groups = loaded.get("project", {}).get("entry-points", {})
    assert ini or set(groups) == {GROUP}


def report(example: Example) -> None:
    """Validate JSON as a report."""
    jsonschema.validate(json.loads(example.parsed), report_schema())


def text(example: Example) -> None:
    """Check that output is output, and that the lines of the bridge protocol are its messages."""
    assert not [line for line in example.parsed.splitlines() if line.startswith(("$ ", *shell.PROGRAMS))], "say shell"
    schema = json.loads(PROTOCOL.read_text(encoding="utf-8"))
    for message in re.findall(r"^[→←] (.*(?:\n +.*)*)", example.parsed, re.MULTILINE):
        jsonschema.validate(json.loads(message), schema)


def unknown(example: Example) -> None:
    """Raise for a block without a known language."""
    pytest.fail(f"{example.path}:{example.line}: name the language of the block, one of {', '.join(LANGUAGES)}")


LANGUAGES: dict[str, Callable[[Example], None]] = {
    "python": python,
    "shell": commands,
    "console": commands,
    "yaml": workflow_or_deviations,
    "toml": settings,
    "json": report,
    "js": save,
    "text": text,
}


def blocks(document: Document) -> Iterator[Region]:
    """Yield each block of code of a Markdown document."""
    starts = [0, *accumulate(len(line) for line in document.text.splitlines(keepends=True))]
    for token in MarkdownIt().parse(document.text):
        if token.type in {"fence", "code_block"} and token.map:
            language = token.info if token.type == "fence" else "shell"
            content = Lexeme(token.content, 0, 0)
            yield Region(starts[token.map[0]], starts[token.map[1]], content, LANGUAGES.get(language, unknown))


SYBIL = Sybil(parsers=[blocks])


def examples(page: Path) -> list[Example]:
    """Return the snippets of a page, in order. They share a namespace."""
    return list(SYBIL.parse(page).examples())
