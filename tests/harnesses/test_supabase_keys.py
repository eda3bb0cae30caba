"""Row security on a current project: it signs with ES256, and its gateway accepts only the opaque keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mcp_storage.stacks.signing import new_jwk
from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.keys import KIND_VARIABLE
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer

RS = {"RS-1", "RS-2", "RS-3", "RS-4", "RS-5"}


@pytest.fixture(scope="module")
def server() -> Iterator[SupervisedServer]:
    with native.start(environ={**os.environ, KIND_VARIABLE: "es256"}) as server:
        yield server


@pytest.fixture
def stack(server: SupervisedServer) -> Iterator[SupabaseStack]:
    stack = server.store()
    yield stack
    server.drop(stack)


def judged(folder: Path, provider: str, **variables: str) -> dict[str, tuple[str, str]]:
    """Run the row security clauses at smoke; return outcome and message of each."""
    hosted = {name: value for name, value in os.environ.items() if not name.startswith("SUPABASE_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mcp-tier=smoke", "--mcp-clause=RS"]
    command += ["--mcp-backend=supabase", f"--mcp-supabase={provider}", "--mcp-report=report.json"]
    subprocess.run(command, cwd=folder, capture_output=True, env={**hosted, **variables}, timeout=300, check=False)
    (backend,) = json.loads((folder / "report.json").read_text("utf-8"))["backends"]
    return {each["id"]: (each["outcome"], str(each)) for each in backend["clauses"] if each["id"] in RS}


def test_row_security_is_judged_on_a_stack_that_signs_with_es256(tmp_path: Path) -> None:
    found = judged(tmp_path, "native", **{KIND_VARIABLE: "es256"})
    assert {clause: outcome for clause, (outcome, _) in found.items()} == dict.fromkeys(RS, "passed")


def test_row_security_is_judged_on_a_project_that_is_given_with_its_signing_key(
    tmp_path: Path, stack: SupabaseStack
) -> None:
    found = judged(
        tmp_path,
        "url",
        SUPABASE_URL=stack.url,
        SUPABASE_SECRET_KEY=str(stack.secret_key),
        SUPABASE_PUBLISHABLE_KEY=str(stack.publishable_key),
        SUPABASE_JWT_SIGNING_KEY=str(stack.signing_key),
    )
    assert {clause: outcome for clause, (outcome, _) in found.items()} == dict.fromkeys(RS, "passed")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SUPABASE_JWT_SECRET", "the secret that the project has dropped"), ("SUPABASE_JWT_SIGNING_KEY", "another")],
)
def test_a_token_that_the_project_refuses_does_not_fail_the_store(
    tmp_path: Path, stack: SupabaseStack, variable: str, value: str
) -> None:
    found = judged(
        tmp_path,
        "url",
        SUPABASE_URL=stack.url,
        SUPABASE_SECRET_KEY=str(stack.secret_key),
        SUPABASE_PUBLISHABLE_KEY=str(stack.publishable_key),
        **{variable: json.dumps(new_jwk()) if value == "another" else value},
    )
    assert {clause: outcome for clause, (outcome, _) in found.items()} == dict.fromkeys(RS, "not_measured")
    for _, said in found.values():
        assert "the project refuses the token that the suite signed for a user (PGRST301" in said
        assert variable in said
