"""``mcp-storage contract``: CONFORMANCE.md, the contract as a document, made from the contract as data."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

import click
from jinja2 import Environment, StrictUndefined

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.clause_ids import compact
from pytest_mcp_storage.spec.clauses import LATEST, Clause, ContractError, Level, load_clauses
from pytest_mcp_storage.zoo.mutant import Mutant
from pytest_mcp_storage.zoo.registry import all_mutants

_NAMES = re.compile(r"``(?P<code>.+?)``|\b\w*_\w+\b|\b[A-Z]\w+Error\b|\bSessionData\b")
_MARKUP = re.compile(r"[\\*_<>\[\]|`]")


def document(revision: str = LATEST, mutants: Iterable[Mutant] | None = None) -> str:
    """Return the text of CONFORMANCE.md. ``mutants``: those of the zoo by default.

    Raises :class:`ContractError` for an unknown revision, and for a clause whose test is missing.
    """
    clauses = load_clauses(revision)
    killed_by: defaultdict[str, list[Mutant]] = defaultdict(list)
    for mutant in all_mutants() if mutants is None else mutants:
        for clause in mutant.clauses:
            killed_by[clause].append(mutant)
    modules = homes()
    if lost := [test for clause in clauses for test in clause.tests if test not in modules]:
        raise ContractError(f"the contract names tests that the suite does not have: {', '.join(lost)}")
    environment = Environment(  # noqa: S701  # Markdown; prose() escapes it
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters["prose"] = prose
    template = environment.from_string(_read("contract.md.jinja"))
    return template.render(
        revision=revision,
        clauses=clauses,
        groups=_grouped(clauses),
        capabilities={each: _needed_by(each, clauses) for each in Capability},
        homes=modules,
        killed_by=killed_by,
        musts=sum(1 for clause in clauses if clause.level is Level.MUST),
    )


def prose(text: str) -> str:
    """Return a sentence as Markdown: code and names of the interface as code, every other character escaped."""
    parts, end = [], 0
    for found in _NAMES.finditer(text):
        parts += [_escaped(text[end : found.start()]), f"`{found['code'] or found[0]}`"]
        end = found.end()
    return "".join([*parts, _escaped(text[end:])])


def homes() -> Mapping[str, str]:
    """Return the suite's module of each test, by the test's name; read, not imported."""
    suite = files("pytest_mcp_storage").joinpath("suite")
    modules = {path.name: path.read_text(encoding="utf-8") for path in suite.iterdir() if path.name.startswith("test_")}
    return {
        test: module
        for module, source in sorted(modules.items())
        for test in re.findall(r"^(?:async )?def (test_\w+)\(", source, re.MULTILINE)
    }


@click.command()
@click.option("--write", "target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it.")
@click.option("--check", "held", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Fail if FILE is not the document.")  # fmt: skip
@click.option("--revision", metavar="REV", default=LATEST, show_default=True, help="Of the contract.")
def contract(target: Path | None, held: Path | None, revision: str) -> None:
    """Print CONFORMANCE.md, the contract as a document."""
    try:
        text = document(revision)
    except ContractError as error:
        raise click.UsageError(str(error)) from None
    if held is not None:
        if not held.is_file() or held.read_text(encoding="utf-8") != text:
            raise click.ClickException(f"{held} is not the contract; mcp-storage contract --write {held} writes it")
    elif target is not None:
        target.write_text(text, encoding="utf-8", newline="\n")
    else:
        click.echo(text, nl=False)


def _grouped(clauses: Iterable[Clause]) -> dict[str, list[Clause]]:
    groups: dict[str, list[Clause]] = {}
    for clause in clauses:
        groups.setdefault(clause.group, []).append(clause)
    return groups


def _needed_by(capability: Capability, clauses: Iterable[Clause]) -> str:
    wholes, parts = [], []
    for clause in clauses:
        if capability in clause.needs:
            wholes.append(clause.id)
        elif capability in dict(clause.optional_parts):
            parts.append(clause.id)
    return "; ".join(filter(None, (compact(wholes), f"part of {compact(parts)}" if parts else "")))


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda found: f"\\{found[0]}", text)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
