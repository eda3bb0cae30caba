"""Make the pages of the site that come from data: clauses, API, architecture, upstream. mkdocs runs this."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import mkdocs_gen_files

import pytest_mcp_storage
import reference_backends
from pytest_mcp_storage.commands.contract import homes, prose
from pytest_mcp_storage.report.model import SCHEMA
from pytest_mcp_storage.report.schema import report_schema
from pytest_mcp_storage.report.write import rendered
from pytest_mcp_storage.spec.clauses import Clause, load_clauses
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants

ROOT = Path(__file__).parent.parent
SOURCE = "https://github.com/pytest-mcp-storage/pytest-mcp-storage/blob/main"


def write(path: str, text: str) -> None:
    """Write a page of the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text)


def clause_pages() -> None:
    """Write a page for each clause, and one that lists them by group."""
    clauses = load_clauses()
    mutants = list(all_mutants())
    lines = [
        "# Clauses",
        "",
        f"The contract has {len(clauses)} clauses. Each has its own page, which says what it demands and why.",
        "",
    ]
    group = ""
    for clause in clauses:
        if clause.group != group:
            group = clause.group
            lines += [
                "",
                f"## {group} · {clause.group_title}",
                "",
                "| clause | level | statement |",
                "| :-- | :-- | :-- |",
            ]
        lines.append(f"| [{clause.id}]({clause.id}.md) | {clause.level.value} | {prose(clause.statement)} |")
        write(f"reference/clauses/{clause.id}.md", clause_page(clause, mutants))
    write("reference/clauses/index.md", "\n".join(lines) + "\n")


def clause_page(clause: Clause, mutants: list[Mutant]) -> str:
    """Return the page of one clause."""
    modules = homes()
    tests = "\n".join(f"- `{test}` in `{modules[test]}`" for test in clause.tests)
    killed = "\n".join(f"- `{each.name}`: {prose(each.why)}" for each in mutants if clause.id in each.clauses)
    needs = ", ".join(sorted(each.name for each in clause.needs)) or "nothing: every store is judged by it"
    parts = "".join(f"\n- without {each.name} its part on {what} is left out" for each, what in clause.optional_parts)
    wide = (
        "\n\nIt is store-wide: measuring it touches sessions that the suite did not write." if clause.store_wide else ""
    )
    return f"""# {clause.id} · {clause.group_title}

**{clause.level.value}.** {prose(clause.statement)}

**Why.** {prose(clause.why)}

**Needs** {needs}.{parts}{wide}

## Run it

    pytest --mcp-backend=NAME --mcp-clause={clause.id}

## Tests

{tests}

## Broken stores that it kills

{killed or "None yet."}
"""


def api_pages() -> None:
    """Write a page for each package, with every public name."""
    for package in (reference_backends, pytest_mcp_storage):
        names = sorted(package.__all__)
        home = {
            name: import_module(package.__name__).__dict__.get("_HOME_OF", package.__dict__["_HOMES"]) for name in names
        }
        blocks = [f"::: {package.__name__}.{home[name][name]}.{name}" for name in names]
        title = f"# {package.__name__}\n\n{(package.__doc__ or '').strip()}\n\n"
        write(f"reference/api/{package.__name__}.md", title + "\n\n".join(blocks) + "\n")
    extra = [
        "reference_backends.mcp",
        "reference_backends.maintenance.migration",
        "reference_backends.maintenance.resealing",
    ]
    write("reference/api/more.md", "# More modules\n\n" + "\n\n".join(f"::: {name}" for name in extra) + "\n")
    links = ["- [reference_backends](reference_backends.md): stores, session data, errors, keys",
             "- [pytest_mcp_storage](pytest_mcp_storage.md): harness, capabilities, clauses",
             "- [More modules](more.md): the MCP SDK adapter, migration, resealing"]  # fmt: skip
    write("reference/api/index.md", "# API\n\n" + "\n".join(links) + "\n")


def architecture_page() -> None:
    """Write ARCHITECTURE.md as a page."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    write("architecture.md", text)


def upstream_page() -> None:
    """Write the report on the stores of ``@mcp-ts/sdk``: every clause, with what was seen."""
    sys.path.insert(0, str(ROOT / "docs"))
    upstream = import_module("upstream_report")
    write(upstream.FULL_PAGE, rendered(upstream.load(upstream.DATA)[0], ".html"))


def schema_file() -> None:
    """Write the JSON Schema of the report."""
    write(f"report-{SCHEMA}.schema.json", json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n")


clause_pages()
api_pages()
upstream_page()
schema_file()
architecture_page()
