"""These tests use the fixtures of the native stack."""

from tests.stacks.supabase.conftest import database, server, stack

__all__ = ["database", "server", "stack"]
