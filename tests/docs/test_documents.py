"""What the documents name is there, and what is there is named by them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from unittest.mock import Mock

import click
import pytest

from pytest_mcp_storage.cli import COMMANDS, main
from pytest_mcp_storage.session import options
from pytest_mcp_storage.spec.clauses import load_clauses

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTIONS = (ROOT / "docs/options.md").read_text(encoding="utf-8")
GENERATED = ("reference/", "architecture.md", "report-1.schema.json", "upstream-report.html")
"""Pages that the site makes from data."""
GUIDES = "".join(each.read_text(encoding="utf-8") for each in DOCUMENTS)
LINK = re.compile(r'(?:\]\(|href="|src=")([^)"\s]+)')


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings, and those that it sets itself."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}
    return made | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        if not link.startswith(("https://", *GENERATED)):
            target = document.parent / path if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_a_page_names_every_option_and_every_ini_value() -> None:
    parser = Mock()
    options.register(parser)
    named = [call.args[0] for call in parser.getgroup.return_value.addoption.call_args_list]
    written = [call.args[0] for call in parser.addini.call_args_list]
    assert [name for name in named if f"| `{name}" not in OPTIONS] == []
    assert [name for name in written if f"`{name}`" not in OPTIONS] == []


def test_a_page_names_every_command() -> None:
    commands = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"| `{name}" not in commands] == []


def test_every_variable_is_named_by_a_document() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("pytest_mcp_storage/**/*.py"))
    sources += "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("reference_backends/**/*.py"))
    variables = set(re.findall(r'"(MCP_(?:TS_)?STORAGE_[A-Z_]+[A-Z]|SUPABASE_[A-Z_]+|[A-Z]+_ENCRYPTION_KEY)"', sources))
    assert len(variables) > 10
    assert [name for name in sorted(variables) if not re.search(rf"\b{name}\b", GUIDES)] == []


def test_every_option_of_every_command_says_what_it_does() -> None:
    def silent(command: click.Command, path: str) -> list[str]:
        if isinstance(command, click.Group):
            inner = {name: command.get_command(click.Context(command), name) for name in
                     command.list_commands(click.Context(command))}  # fmt: skip
            return [each for name, one in inner.items() if one for each in silent(one, f"{path} {name}")]
        given = [each for each in command.params if isinstance(each, click.Option)]
        return [f"{path} {each.opts[0]}" for each in given if not each.help]

    assert silent(main, "mcp-storage") == []


def test_the_numbers_that_are_written_down() -> None:
    assert f"{len(load_clauses())} clauses" in README


def test_the_verdict_that_is_explained_is_the_one_in_the_picture() -> None:
    page = (ROOT / "docs/reading-a-verdict.md").read_text(encoding="utf-8")
    picture = html.unescape((ROOT / "docs/pictures/failing.svg").read_text(encoding="utf-8")).replace("\xa0", " ")
    (verdict,) = re.findall(r"^hurried_store:Harness: NOT CONFORMANT.*$", page, re.MULTILINE)
    assert verdict.partition(", saw")[0] in picture  # the line is longer than the picture is wide
