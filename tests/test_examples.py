"""The examples, copied and run as a user would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.parts import NPM

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST_EXAMPLE = 120


SERVERS = [
    "postgresql_harness:AsyncpgHarness",
    "postgresql_harness:SqlAlchemyHarness",
    "valkey_harness:ValkeyHarness",
    pytest.param("dynamodb_harness:DynamoDBHarness", marks=pytest.mark.npm),
]
SOME = ["RT-2", "LC-12", "LC-13", "EX-11", "EN-2", "MX-5", "DU-2", "CO-6", "CA-5", "FA-1", "HA-1"]
"""A clause or two of most groups that these harnesses can show."""


def judged(folder: Path, *options: str) -> Any:
    """Return the verdict on the harness of a copied example."""
    command = [sys.executable, "-m", "pytest", "-q", "--mcp-tier=smoke", "--mcp-no-coverage", "--mcp-report=out.json"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (backend,) = json.loads((folder / "out.json").read_text())["backends"]
    return backend


def copied(example: str, tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLES / example, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))


def judged_on_a_server(tmp_path: Path, harness: str, *options: str) -> Any:
    if "dynamodb" in harness:
        NPM.require()
    return judged(copied("servers", tmp_path), f"--mcp-backend={harness}", *options)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("harness", SERVERS)
def test_a_store_on_a_server_passes_some_of_each_group(tmp_path: Path, harness: str) -> None:
    backend = judged_on_a_server(tmp_path, harness, f"--mcp-clause={','.join(SOME)}")
    clauses = {each["id"]: each["outcome"] for each in backend["clauses"]}
    assert {clauses[each] for each in SOME} == {"passed"}


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.verdicts
@pytest.mark.parametrize("harness", SERVERS)
def test_a_store_on_a_server_gets_its_verdict(tmp_path: Path, harness: str) -> None:
    assert judged_on_a_server(tmp_path, harness)["verdict"] == "conformant"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("servers/*.py")), ids=lambda path: path.name)
def test_an_example_is_short_enough_to_read(example: Path) -> None:
    lines = [line for line in example.read_text("utf-8").splitlines() if line]
    assert len(lines) <= LONGEST_EXAMPLE


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [[f"--mcp-clause={','.join(SOME)}"], pytest.param([], marks=pytest.mark.verdicts)], ids=["some", "all"]
)
def test_the_diskcache_store_passes(tmp_path: Path, options: list[str]) -> None:
    backend = judged(copied("diskcache_store", tmp_path), *options)
    outcomes = {each["id"]: each["outcome"] for each in backend["clauses"]}
    assert {outcomes[each] for each in SOME} <= {"passed", "not_applicable"}
    assert options or backend["verdict"] == "conformant"
    assert backend["version"] != "0.1.0", "it is the store's version, not the suite's"
