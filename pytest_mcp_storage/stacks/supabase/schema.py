"""The SQL that a stack starts with: the platform's own, and the project's migrations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import AsyncConnection

BARE = "template1"
"""The database with the platform's roles and schemas, and nothing of ours."""
PREPARED = "postgres"
"""The same with the migrations applied: what stores are copied from. Nobody may be connected to it meanwhile."""

HERE = Path(__file__).parent


def migrations_folder() -> Path:
    """Where the migrations lie: in the wheel beside this module, in a checkout in ``supabase/migrations``."""
    shipped = HERE / "migrations"
    return shipped if shipped.is_dir() else HERE.parents[2] / "supabase" / "migrations"


def migrations() -> list[Path]:
    """The migrations, in the order in which they are applied."""
    return sorted(migrations_folder().glob("*.sql"))


def platform_sql() -> str:
    """What a Supabase project holds before its first migration."""
    return (HERE / "platform.sql").read_text("utf-8")


def migration_sql() -> list[str]:
    """The text of each migration, in order. Each may be applied again at any time."""
    return [path.read_text("utf-8") for path in migrations()]


async def install(connect: Callable[[str], Awaitable[AsyncConnection[tuple[object, ...]]]]) -> None:
    """Make the databases :data:`BARE` and :data:`PREPARED` of a server as initdb leaves it.

    ``connect`` opens a superuser's connection to the database it is given, in autocommit mode.
    """
    async with await connect(BARE) as connection:
        await connection.execute(platform_sql().encode())
        await connection.execute(f"drop database if exists {PREPARED} with (force)".encode())
        await connection.execute(f"create database {PREPARED} template {BARE}".encode())
    async with await connect(PREPARED) as connection:
        for text in migration_sql():
            await connection.execute(text.encode())
