"""The native stack's fixtures serve these tests too."""

from tests.stacks.supabase.conftest import database, rest, server, stack

__all__ = ["database", "rest", "server", "stack"]
