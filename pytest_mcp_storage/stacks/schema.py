"""The SQL that a stack starts with: the platform's own, and the project's migrations."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def migrations_folder() -> Path:
    """Where the migrations lie: in the wheel beside this module, in a checkout in ``supabase/migrations``."""
    shipped = HERE / "migrations"
    return shipped if shipped.is_dir() else HERE.parents[1] / "supabase" / "migrations"


def migrations() -> list[Path]:
    """The migrations, in the order in which they are applied."""
    return sorted(migrations_folder().glob("*.sql"))


def platform_sql() -> str:
    """What a Supabase project holds before its first migration."""
    return (HERE / "platform.sql").read_text("utf-8")


def migration_sql() -> list[str]:
    """The text of each migration, in order. Each may be applied again at any time."""
    return [path.read_text("utf-8") for path in migrations()]
