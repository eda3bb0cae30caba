"""A Supabase stack for a run: :func:`start_stack` finds or starts one.

- ``stack``: what a harness gets: a stack, and the server that makes stacks.
- ``providers``: the choice of a provider: ``given_project``, ``native``, ``docker`` or ``supabase_cli``, a module each.
- ``servers``: what the supervisor needs of a provider's servers.
- ``supervisor_client``: a stack in a supervisor.
- ``gateway``: ``/rest/v1`` and the project's keys, in front of PostgREST.
- ``postgres``, ``postgrest``: one server each.
- ``binaries``: finds or fetches their programs.
- ``template``: the data directory that each run copies.
- ``database_schema``: the SQL of the platform and of the project.
- ``keys``: the keys of a project.
- ``state``: the stack that ``mcp-storage stack up`` runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.stacks.supabase.providers import start_stack
    from pytest_mcp_storage.stacks.supabase.stack import StackServer, SupabaseStack

__all__ = ["StackServer", "SupabaseStack", "start_stack"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_mcp_storage.stacks.supabase import providers, stack

    return getattr(providers if name == "start_stack" else stack, name)
