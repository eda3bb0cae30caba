"""``mcp-storage doctor``: what is wrong with the store that the environment chooses."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of all findings.")
@click.option("--verbose", is_flag=True, help="Print also the checks that found nothing.")
def doctor(as_json: bool, verbose: bool) -> None:
    """Check the store that the environment chooses, and say how to fix what is wrong.

    It reads the variables of create_storage(): MCP_TS_STORAGE_TYPE, REDIS_URL, MCP_TS_STORAGE_FILE,
    MCP_TS_STORAGE_SQLITE_PATH, SUPABASE_URL and their keys. With SUPABASE_DB_URL it also checks policies, privileges
    and indexes. It writes nothing.

    Exit code 1 if there is an error; warnings and notes leave it at 0.
    """
    from pytest_mcp_storage.doctor.examination import examine
    from pytest_mcp_storage.doctor.finding import has_error

    findings = asyncio.run(examine(os.environ))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            if verbose or finding.level != "ok" or finding.check == "environment.store":
                click.echo(str(finding))
        wrong = sum(finding.level in ("warning", "error") for finding in findings)
        click.echo(f"{len(findings)} checks, {wrong} of them found a problem" if wrong else "no problem was found")
    raise SystemExit(1 if has_error(findings) else 0)
