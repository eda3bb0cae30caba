"""A Supabase stack for a run: :func:`start_stack` finds or starts one.

- ``stack``: what a harness gets, and the choice of a provider.
- ``url``, ``native``, ``docker``, ``cli``: the providers.
- ``supervisor``: the process that runs the servers; ``supervisor_client``: its other end.
- ``gateway``: ``/rest/v1`` and the project's keys, in front of PostgREST.
- ``postgres``, ``postgrest``: one server each.
- ``binaries``: finds or fetches their programs.
- ``template``: the data directory that each run copies.
- ``schema``: the SQL of the platform and of the project.
- ``keys``: the keys of a project.
- ``state``: the stack that ``mcp-storage stack up`` runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.stacks.supabase.stack import StackServer, SupabaseStack, start_stack

__all__ = ["StackServer", "SupabaseStack", "start_stack"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_mcp_storage.stacks.supabase import stack

    return getattr(stack, name)
