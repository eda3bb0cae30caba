"""Every command prints in every encoding: Windows code pages, old locales, ASCII, and pipes from them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mcp_storage.commands import output

COMMAND = Path(sys.executable).with_name("mcp-storage")
ENCODINGS = ["cp1252", "gbk", "ascii"]  # instead of ASCII, click writes UTF-8
COMMANDS = [
    ["contract"],
    ["clauses"],
    ["clauses", "EX-2"],
    ["report", "r.json"],
    ["zoo", "no-such-käfer…"],
    ["supabase-init"],
    ["migrate", "--from", "no URL…"],
    ["stack", "down"],
    ["stack", "up", "--provider=docker"],
    ["key"],
    ["--help"],
]

FAILING = """
from reference_backends import MemoryStorageBackend
class Forgetful(MemoryStorageBackend):
    def generate_session_id(self): return "1…→é用"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a report of a failure, which repeats what a store returned."""
    folder = tmp_path_factory.mktemp("encodings")
    (folder / "forgetful.py").write_text(FAILING, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--mcp-tier=smoke", "--mcp-clause=LC-13", "--mcp-report=r.json"]
    command = [sys.executable, "-m", "pytest", *options, "--mcp-backend=forgetful:Forgetful"]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert (folder / "r.json").exists()
    return folder


def printed(folder: Path, command: list[str], **variables: str) -> tuple[bytes, int]:
    environment = {**os.environ, "MCP_STORAGE_CACHE": str(folder), "PYTHONUTF8": "0", "COLUMNS": "100"}
    environment |= {"DOCKER_HOST": f"unix://{folder}/none.sock", **variables}
    done = subprocess.run([COMMAND, *command], cwd=folder, capture_output=True, env=environment, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_ends_as_it_does_in_utf_8(folder: Path, command: list[str]) -> None:
    code = printed(folder, command, PYTHONIOENCODING="utf-8")[1]
    said, code_here = printed(folder, command, PYTHONIOENCODING="koi8-r")
    assert code_here == code
    assert said.decode("koi8-r")


def test_the_contract_is_whole_in_every_encoding(folder: Path) -> None:
    whole = printed(folder, ["contract"], PYTHONIOENCODING="utf-8")[0].decode()
    for encoding in ENCODINGS:
        said, code = printed(folder, ["contract"], PYTHONIOENCODING=encoding)
        assert code == 0
        assert len(said.decode("utf-8" if encoding == "ascii" else encoding).splitlines()) == len(whole.splitlines())


def test_the_c_locale_is_no_exception(folder: Path) -> None:
    variables = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    for command in (["contract"], ["report", "r.json"]):
        assert printed(folder, command, **variables)[1] == 0


@pytest.mark.parametrize(
    ("text", "shown"), [("a → b ≥ c…", b"a -> b >= c..."), ("é用", b"\\xe9\\u7528"), ("\udc80", b"\\udc80")]
)
def test_a_sign_is_replaced_by_its_nearest(monkeypatch: pytest.MonkeyPatch, text: str, shown: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    output.accept_every_character()
    print(text, end="", flush=True)
    assert stream.buffer.getvalue() == shown  # type: ignore[attr-defined]


def test_what_somebody_chose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    output.accept_every_character()
    assert stream.errors == "replace"
