"""``mcp-storage supabase-init``: copy the migrations of the sessions table into a Supabase project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import click

from pytest_mcp_storage.stacks.supabase.database_schema import migrations
from reference_backends.supabase.push import installed_major, push

TABLE = "mcp_sessions"
LONGEST_NAME = 42
"""Characters; the name of an index holds it, with 21 more."""
CONFIGURATIONS = ("config.toml", "config.json")
VERSION_LIMIT = 10.0

NEXT_STEPS = """
Next:{init}
  1. supabase link --project-ref <ref>     the ref is in the project's URL, https://<ref>.supabase.co
  2. apply the migrations                  {push}
  3. set SUPABASE_URL=https://<ref>.supabase.co
     and SUPABASE_SECRET_KEY               dashboard, Project Settings, API Keys: a secret key (in older projects
                                           SUPABASE_SERVICE_ROLE_KEY, the service_role key).
                                           It passes row security: keep it on the server.
"""
INIT = """
  0. supabase init                         there is no supabase/config.toml or config.json here yet"""
OTHER_TABLE = """  4. in Python                             SupabaseStorageBackend(client, table="{table}")
"""


@click.command("supabase-init")
@click.option("--table", default=TABLE, show_default=True, help="Another name, if this one is taken in your project.")
def supabase_init(table: str) -> None:
    """Copy the migrations of the sessions table into supabase/migrations.

    The project is that of this folder, or of the nearest one above it that has supabase/config.toml or config.json.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", table) or len(table) > LONGEST_NAME:
        raise click.UsageError(f"--table: at most {LONGEST_NAME} small letters, digits and _, such as {TABLE}")
    project = _project()
    folder = (project or Path("supabase")) / "migrations"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in named(table, folder).items():
            click.echo(_copied(text, folder / name))
    except OSError as error:
        raise click.ClickException(f"{error.filename} can't be created or read ({error.strerror})") from None
    steps = NEXT_STEPS.format(init="" if project else INIT, push=push(_major()))
    click.echo(steps + (OTHER_TABLE.format(table=table) if table != TABLE else ""))


def named(table: str, folder: Path) -> dict[str, bytes]:
    """Return the migrations for a table of this name, by the name of their file.

    Migrations of another table than :data:`TABLE` get other version numbers, so that both fit into one project.
    """
    shipped = {path.name: path.read_bytes() for path in migrations()}
    if table == TABLE:
        return shipped
    taken = {path.name.partition("_")[0]: path.name for path in folder.glob("*.sql")}
    texts = [text.replace(TABLE.encode(), table.encode()) for text in shipped.values()]
    endings = [name.partition("_")[2].replace(TABLE, table) for name in shipped]
    start = 3600 + zlib.crc32(table.encode()) % 80_000
    while True:
        versions = [_version(start + index) for index in range(len(texts))]
        names = [f"{version}_{ending}" for version, ending in zip(versions, endings, strict=True)]
        if all(taken.get(version, name) == name for version, name in zip(versions, names, strict=True)):
            return dict(zip(names, texts, strict=True))
        start += len(texts)


def _version(second: int) -> str:
    hours, rest = divmod(second % 86_400, 3600)
    return f"20261101{hours:02}{rest // 60:02}{rest % 60:02}"


def _project() -> Path | None:
    """Return the folder ``supabase`` that Supabase's command line uses, relative to the working directory."""
    here = Path.cwd()
    for above in (here, *here.parents):
        if any((above / "supabase" / name).exists() for name in CONFIGURATIONS):
            return Path(os.path.relpath(above / "supabase"))
    return None


def _major() -> int | None:
    """Return the major version of Supabase's command line; run it if its files don't show the version."""
    major = installed_major()
    program = shutil.which("supabase")
    if major is not None or program is None:
        return major
    try:
        done = subprocess.run(
            [program, "--version"],
            env={**os.environ, "DO_NOT_TRACK": "1"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=VERSION_LIMIT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.\d+\.\d+", done.stdout)
    return int(found[1]) if found else None


def _copied(text: bytes, target: Path) -> str:
    """Write ``text`` to a new file; return what was done."""
    try:
        with target.open("xb") as file:
            file.write(text)
    except FileExistsError:
        same = target.read_bytes() == text
        return f"left {target}: it exists already" + (
            "" if same else ", and differs from the one that this version ships"
        )
    return f"wrote {target}"
