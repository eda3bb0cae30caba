"""These tests use the fixtures of the native stack."""

from tests.stacks.supabase.conftest import database, rest, server, stack

__all__ = ["database", "rest", "server", "stack"]
