"""The shell commands of the documents: their options are parsed by the programs' own parsers, and some are run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from pytest_mcp_storage.cli import main

ROOT = Path(__file__).parents[2]
PROGRAMS = ("pytest ", "mcp-storage ", "pip ", "make ", "cd ", "jq ", "export ", "eval ", "ACL ")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
NOT_OURS = {"fastmcp"}
"""Packages that users install and the tests do not."""
KEYS = {"new,old": f"{'0f' * 32},{'f0' * 32}"}
"""What the documents write for keys."""


def commands(block: str) -> Iterator[str]:
    """Yield the commands of a block. In a console, what has no prompt is output; an indented line continues."""
    console = block.startswith("$ ")
    for line in re.sub(r"\n +", " ", block).splitlines():
        if not console or line.startswith("$ "):
            yield line.removeprefix("$ ")


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a command sets for itself, and its words."""
    words = shlex.split(command, comments=True)
    variables: dict[str, str] = {}
    while words and (found := re.match(r"([A-Z_]+)=(.*)", words[0])):
        variables[found[1]] = KEYS.get(found[2], found[2])
        words.pop(0)
    return variables, words


def check(command: str, config: pytest.Config) -> None:
    """Raise if a command names a program, an option, a target or a package that does not exist."""
    for inner in re.findall(r"\$\((.*?)\)", command):
        check(inner, config)
    _, (program, *words) = split(command)
    if program == "pytest":
        config._parser.parse(words)
    elif program == "mcp-storage":
        parse(main, program, words)
    elif program == "make":
        assert {word for word in words if "=" not in word} <= TARGETS, command
    elif program == "pip":
        check_packages(words)
    elif program == "cd":
        assert (ROOT / words[0]).is_dir(), command
    else:
        assert f"{program} " in PROGRAMS, (
            f"{command}: an unknown program; if it is output, the block's language is text"
        )


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None = None) -> None:
    """Parse a command line by click, subcommands too, and run nothing."""
    with command.make_context(name, list(words), parent=parent) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            found, inner, rest = command.resolve_command(context, rest)
            assert inner is not None
            parse(inner, str(found), rest, context)


def check_packages(words: list[str]) -> None:
    """Raise if ``pip install`` names an extra of ours that does not exist, or a package that nobody has tried."""
    assert words[0] == "install"
    known = {Requirement(each).name for each in PROJECT["optional-dependencies"]["dev"]} | NOT_OURS
    for each in map(Requirement, words[1:]):
        if each.name == PROJECT["name"]:
            assert each.extras <= set(PROJECT["optional-dependencies"]), each
        else:
            assert each.name in known, each


def run(command: str) -> None:
    """Run a command of ``mcp-storage`` in this process, and jq; others are only checked."""
    variables, (program, *words) = split(command)
    if program == "mcp-storage":
        done = CliRunner().invoke(main, words, env={"MCP_TS_STORAGE_TYPE": "sqlite"} | variables)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    elif program == "jq":
        subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL)


def run_pytest(command: str, *options: str) -> str:
    """Run a pytest command in another process, in the current folder, and return its output."""
    _, (program, *words) = split(command)
    arguments = [sys.executable, "-m", program, *words, *options]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
