"""CONFORMANCE.md contains the contract and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from pytest_mcp_storage.commands import contract as conformance_document
from pytest_mcp_storage.commands.contract import contract, document, homes, prose
from pytest_mcp_storage.spec.clauses import Clause, ContractError, load_clauses
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutant import Mutant

ROOT = Path(__file__).parents[2]
GITHUB = MarkdownIt("gfm-like", {"linkify": False}).enable("table")


def mutant(name: str, clauses: tuple[str, ...], why: str) -> Mutant:
    return Mutant(name, clauses, why, InMemoryHarness)


@pytest.fixture(scope="module")
def text() -> str:
    return document(mutants=())


def section(text: str, id: str) -> str:
    return re.split(r"\n##+ |\n<a ", text.partition(f"\n### {id}\n")[2])[0]


def test_the_file_in_the_repository_is_the_document() -> None:
    assert (ROOT / "CONFORMANCE.md").read_text(encoding="utf-8") == document(), "run: make contract"


@pytest.mark.parametrize("clause", load_clauses(), ids=lambda clause: clause.id)
def test_every_clause_is_in_the_document(text: str, clause: Clause) -> None:
    mine = section(text, clause.id)
    for part in (f"**{clause.level.value}**", prose(clause.statement), prose(clause.why)):
        assert part in mine
    for capability in clause.needs:
        assert f"`{capability.name}`" in mine.partition("- Needs: ")[2].partition("\n")[0]
    for _, what in clause.optional_parts:
        assert prose(what) in mine
    for test in clause.tests:
        assert f"[`{test}`](pytest_mcp_storage/suite/{homes()[test]})" in mine
    assert ("--mcp-allow-destructive" in mine) is clause.store_wide


def test_there_is_no_other_clause(text: str) -> None:
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [clause.id for clause in load_clauses()]


def test_every_link_has_a_target(text: str) -> None:
    anchors = {f"#{each}" for each in re.findall(r'<a id="(.*?)">', text)}
    anchors |= {f"#{each.lower()}" for each in re.findall(r"^### (.*)$", text, re.MULTILINE)}
    links = set(re.findall(r"\]\((.*?)\)", text))
    assert {link for link in links if link.startswith("#")} == anchors
    for link in links - anchors:
        assert (ROOT / link).is_file(), link


def test_it_renders_without_a_stray_element_or_a_lost_character(text: str) -> None:
    page = GITHUB.render(text)
    known = "h1 h2 h3 p strong code a ul li table thead tbody tr th td pre"
    assert set(re.findall(r"<(\w+)", page)) <= set(known.split())
    shown = re.sub(r"<[^>]*>", "", page).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    shown = " ".join(shown.replace("&amp;", "&").split())
    for clause in load_clauses():
        assert clause.statement in shown, clause.id
        assert clause.why in shown, clause.id


def test_the_whole_document_renders_without_a_stray_backtick() -> None:
    text = (ROOT / "CONFORMANCE.md").read_text(encoding="utf-8")
    prose_only = re.sub(r"<code>.*?</code>|<!--.*?-->", "", GITHUB.render(text), flags=re.DOTALL)
    assert not [line for line in prose_only.splitlines() if "`" in line]


def test_the_mutants_of_a_clause_are_named() -> None:
    zoo = [mutant("Forgetful", ("EX-2", "EX-4"), "A cache is stale."), mutant("Eager", ("EX-2",), "It rounds_.")]
    text = document(mutants=zoo)
    assert (
        section(text, "EX-2")
        .rstrip()
        .endswith("- Kills:\n  - `Forgetful`: A cache is stale.\n  - `Eager`: It rounds\\_.")
    )
    assert "`Forgetful`" in section(text, "EX-4")
    assert "Kills" not in section(text, "EX-1")


def test_a_clause_whose_test_is_not_in_the_suite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = {test: home for test, home in homes().items() if test != "test_get_returns_what_was_created"}
    monkeypatch.setattr(conformance_document, "homes", lambda: tests)
    with pytest.raises(ContractError, match="test_get_returns_what_was_created"):
        document(mutants=())


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("get_session returns __proto__.", "`get_session` returns `__proto__`."),
        ("raises SessionExistsError at once", "raises `SessionExistsError` at once"),
        ("a * b | c [d] <e> \\", "a \\* b \\| c \\[d\\] \\<e\\> \\\\"),
        ("enc:1:<24 hex IV>:…", "enc:1:\\<24 hex IV\\>:…"),
        ("% _ alone", "% \\_ alone"),
        ("has ``WHERE a = ?`` and ``al*``", "has `WHERE a = ?` and `al*`"),
        ("drops ``__proto__`` alone", "drops `__proto__` alone"),
    ],
)
def test_a_sentence_of_the_contract_as_markdown(text: str, markdown: str) -> None:
    assert prose(text) == markdown


def test_the_command_prints_writes_and_checks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(conformance_document, "all_mutants", tuple)
    path = tmp_path / "CONFORMANCE.md"
    run = CliRunner().invoke
    assert run(contract).output == text
    missing = run(contract, ["--check", str(path)])
    assert (missing.exit_code, f"--write {path} writes it" in missing.output) == (1, True)
    assert run(contract, ["--write", str(path)]).exit_code == 0
    assert path.read_text(encoding="utf-8") == text
    assert run(contract, ["--check", str(path)]).exit_code == 0
    path.write_text(text + "\n")
    assert run(contract, ["--check", str(path)]).exit_code == 1
    assert run(contract, ["--revision", "1999-01"]).exit_code == 2
