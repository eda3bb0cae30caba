"""The SQL that a stack starts with: the platform's, and the project's migrations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import AsyncConnection

BARE = "template1"
"""The database with only the platform's roles and schemas."""
PREPARED = "postgres"
"""The same with the migrations applied; stores are copies of it. Nobody may be connected to it while it is copied."""

HERE = Path(__file__).parent


def migrations_folder() -> Path:
    """Return the folder of the migrations: in the wheel next to this module, in a checkout ``supabase/migrations``."""
    shipped = HERE / "migrations"
    return shipped if shipped.is_dir() else HERE.parents[2] / "supabase" / "migrations"


def migrations() -> list[Path]:
    """Return the migrations, in the order in which they are applied."""
    return sorted(migrations_folder().glob("*.sql"))


def platform_sql() -> str:
    """Return the SQL of what a Supabase project contains before its first migration."""
    return (HERE / "platform.sql").read_text("utf-8")


def migration_sql() -> list[str]:
    """Return the text of each migration, in order. Each may be applied again at any time."""
    return [path.read_text("utf-8") for path in migrations()]


async def install(connect: Callable[[str], Awaitable[AsyncConnection[tuple[object, ...]]]]) -> None:
    """Make the databases :data:`BARE` and :data:`PREPARED` on a server that initdb has just made.

    ``connect`` opens a superuser's connection to a database, in autocommit mode.
    """
    async with await connect(BARE) as connection:
        await connection.execute(platform_sql().encode())
        await connection.execute(f"drop database if exists {PREPARED} with (force)".encode())
        await connection.execute(f"create database {PREPARED} template {BARE}".encode())
    async with await connect(PREPARED) as connection:
        for text in migration_sql():
            await connection.execute(text.encode())
