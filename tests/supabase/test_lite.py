"""A second server: ``@supabase/lite`` on its postgres driver. It is not PostgREST and some answers differ.

The backend gets the same verdict there as on the native stack (``make conformance``), so it does not depend on details
of one server. Clauses about ciphers, processes and thousands of rows run only on the native stack.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import psycopg
import pytest

from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from pytest_mcp_storage.stacks.supabase.supervisor_client import SupervisedServer
from reference_backends import SessionData, StorageSetupError, SupabaseStorageBackend
from reference_backends.supabase.project import SupabaseProjectBackend
from tests.parts import NPM

LITE = NpmPackage("@supabase/lite", "@supabase/lite", "0.10.0", needs=("postgres@3.4.8",))
SCRIPT = Path(__file__).with_name("lite.mjs")
GROUPS = {
    "RT": (1, 2, 4, 5, 7),
    "LC": (1, 2, 3, 4, 5, 7, 8, 9),
    "ID": (4, 7),
    "EX": (1, 2, 3, 4, 5),
    "EN": (9,),
    "MX": (5,),
    "RS": (2, 3),
}
"""The clauses that depend most on how a server reads filters, accepts values and reports refusals.

Not RT-3, ID-2, ID-3 and ID-5, whose names are a catalogue: lite 0.10 finds no row by ``eq.{}``, which PostgREST does.
"""

CLAUSES = [f"{group}-{number}" for group, numbers in GROUPS.items() for number in numbers]


@contextmanager
def lite(stack: SupabaseStack, *, max_rows: int = 1000) -> Iterator[SupabaseStack]:
    """Start the second server on the same database and keys; it accepts only the opaque keys."""
    NPM.require()
    with psycopg.connect(str(stack.database_url)) as database:  # hosted projects have it
        database.execute("create table if not exists auth.users (id uuid primary key)")
    command = ["node", "--input-type=module", "--eval", SCRIPT.read_text()]
    folder = npm_folder(LITE, print)
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps({**asdict(stack), "max_rows": max_rows}) + "\n")
        server.stdin.flush()
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            yield replace(stack, url=url, anon_key=stack.publishable_key, service_role_key=stack.secret_key)
        finally:
            server.stdin.close()


def backend_on(stack: SupabaseStack) -> SupabaseStorageBackend:
    return SupabaseProjectBackend(stack.url, str(stack.service_role_key))


@pytest.mark.verdicts
def test_the_verdict_is_the_same(stack: SupabaseStack, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with lite(stack) as second:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"),
                *("--mcp-backend=supabase", "--mcp-supabase=url", "--mcp-tier=smoke", f"--mcp-report={report}"),
                f"--mcp-clause={','.join(CLAUSES)}",
                "--mcp-allow-destructive",
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "SUPABASE_URL": second.url,
                "SUPABASE_ANON_KEY": str(second.anon_key),
                "SUPABASE_SERVICE_ROLE_KEY": str(second.service_role_key),
                "SUPABASE_JWT_SECRET": str(second.jwt_secret),
                "SUPABASE_DB_URL": str(second.database_url),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (judged,) = json.loads(report.read_text())["backends"]
    assert [clause["id"] for clause in judged["clauses"] if clause["outcome"] == "passed"] == CLAUSES


async def test_listings_page_there_too(stack: SupabaseStack) -> None:
    """Unusual ids at the ends of pages: both servers read the filter for the next page in the same way."""
    names = sorted(["01", "1", "1e3", " a", "a ", 'a"b', "a,b", "a.b", "(a)", "null", "true", "ä", "%", "*", "\\"])
    with lite(stack, max_rows=2) as second:
        backend = backend_on(second)
        await backend.init()
        for name in names:
            session = SessionData(
                session_id=name,
                identity="alice",
                server_url="",
                transport_type="sse",
                callback_url="",
                created_at=0,
            )
            await backend.create_session(session)
        assert sorted(await backend.get_identity_mcp_sessions("alice")) == names
        assert sorted(await backend.get_all_session_ids()) == names
        await backend.clear_all()
        assert await backend.get_all_session_ids() == []
        await backend.disconnect()


async def test_a_missing_table_is_reported_there_too(server: SupervisedServer) -> None:
    """By PGRST205, one of the three codes that servers use for it."""
    bare = server.store(migrated=False)
    with lite(bare) as second:
        backend = backend_on(second)
        with pytest.raises(StorageSetupError, match="supabase-init"):
            await backend.init()
        await backend.disconnect()
    server.drop(bare)
