"""``mcp-storage bench``: names, files, exit codes. What it measures is tested in tests/speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_mcp_storage.cli import main

QUICK = ("--seconds", "1")


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["bench", *words], env={"COLUMNS": "120", **environment})


def test_stores_are_shown_side_by_side_and_written_to_files(tmp_path: Path) -> None:
    data, page = tmp_path / "speed.json", tmp_path / "speed.html"
    done = run(
        "tests.speed.slow_stores:FullScan", "--against", "memory", *QUICK, "--json", str(data), "--html", str(page)
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert next(line.split() for line in lines if line.endswith("  memory")) == [
        "tests.speed.slow_stores:FullScan",
        "memory",
    ]
    assert {line.split()[0] for line in lines if "/s  " in line} == {
        "create",
        "get",
        "update",
        "list",
        "remove",
        "cleanup",
    }
    stores = json.loads(data.read_text())["stores"]
    assert [(store["name"], store["compared"]) for store in stores] == [
        ("tests.speed.slow_stores:FullScan", False),
        ("memory", True),
    ]
    assert {"operation", "callers", "calls", "per_second", "p50_ms", "p99_ms", "connections"} == set(
        stores[0]["speeds"][0]
    )
    assert stores[0]["growth"][0]["points"][0]["others"] == 100
    assert "<svg" in page.read_text()
    assert "http" not in page.read_text().replace("http-equiv", "")


def test_an_unknown_name_is_a_usage_error() -> None:
    done = run("nonsense")
    assert done.exit_code == 2
    assert "unknown backend 'nonsense' (known: " in done.output


def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    done = run("memory", "--json", str(tmp_path / "none" / "speed.json"))
    assert done.exit_code == 2
    assert "its folder must exist" in done.output


def test_a_named_store_that_cannot_be_measured_fails_the_command() -> None:
    done = run("json:loads", "--alone", *QUICK)
    assert done.exit_code == 1
    assert "not measured: " in done.output


@pytest.mark.parametrize(("name", "variable"), [("redis", "REDIS_URL"), ("supabase", "SUPABASE_URL")])
def test_a_server_of_yours_is_measured_only_if_you_name_it(name: str, variable: str) -> None:
    done = run("memory", "--against", name, *QUICK, **{variable: "http://127.0.0.1:9"})
    assert done.exit_code == 0
    assert f"{name} is not compared with: {variable} is set; name {name} to measure that server" in done.output
