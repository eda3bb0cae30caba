"""A Supabase stack of this process, in a supervisor. All calls block."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.stacks.supabase.keys import Kind
from pytest_mcp_storage.stacks.supabase.stack import MAX_ROWS, Say, StackServer, SupabaseStack
from pytest_mcp_storage.stacks.supervised import Supervised


class SupervisedServer(StackServer):
    """A stack that ends when this process ends, even if it is killed."""

    owned = True

    def __init__(
        self,
        provider: str,
        servers: str,
        settings: Mapping[str, Any],
        *,
        say: Say,
        in_memory: bool = False,
        makes_stores: bool = True,
        keys: Kind = "hs256",
    ) -> None:
        self.provider = provider
        self.makes_stores = makes_stores
        self._numbers = itertools.count(1)
        self._names: dict[str, str] = {}
        order = {"servers": servers, "settings": dict(settings), "in_memory": in_memory, "keys": keys}
        self._supervised = Supervised("the Supabase stack", order, say=say)

    def store(
        self, name: str | None = None, *, migrated: bool = True, max_rows: int = MAX_ROWS, port: int = 0
    ) -> SupabaseStack:
        name = name or f"store_{next(self._numbers)}"
        answer = self._supervised.ask("open", name=name, migrated=migrated, max_rows=max_rows, port=port)
        self._names[answer["url"]] = name
        return SupabaseStack(
            url=answer["url"],
            **answer["keys"],
            database_url=answer["database_url"],
            provider=self.provider,
            owned=True,
            isolated=True,
        )

    def drop(self, stack: SupabaseStack) -> None:
        self._supervised.ask("drop", name=self._names.pop(stack.url))

    def pause(self, stack: SupabaseStack) -> None:
        self._supervised.ask("pause", name=self._names[stack.url])

    def resume(self, stack: SupabaseStack) -> None:
        self._supervised.ask("resume", name=self._names[stack.url])

    def facts(self) -> dict[str, Any]:
        return self._supervised.ask("facts")

    def close(self) -> None:
        self._supervised.close()
