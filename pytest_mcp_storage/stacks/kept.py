"""The near end of a keeper: start it, ask it, end it. All calls block; none takes longer than the servers do."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.stacks.environment import without_libpq
from pytest_mcp_storage.stacks.keys import Kind
from pytest_mcp_storage.stacks.supabase import MAX_ROWS, Say, StackServer, SupabaseStack
from reference_backends.errors import StorageSetupError, StorageUnavailableError


class KeptServer(StackServer):
    """A stack in a keeper of this process's own: it ends when this process does, however that ends."""

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
        self._say = say
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._names: dict[str, str] = {}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_mcp_storage.stacks.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=without_libpq(os.environ),
            start_new_session=True,  # a Ctrl-C is for us; the keeper ends when we let go of it
        )
        try:
            self._exchange({"servers": servers, "settings": dict(settings), "in_memory": in_memory, "keys": keys})
        except BaseException:
            self.close()
            raise

    def store(
        self, name: str | None = None, *, migrated: bool = True, max_rows: int = MAX_ROWS, port: int = 0
    ) -> SupabaseStack:
        name = name or f"store_{next(self._numbers)}"
        answer = self._ask("open", name=name, migrated=migrated, max_rows=max_rows, port=port)
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
        self._ask("drop", name=self._names.pop(stack.url))

    def pause(self, stack: SupabaseStack) -> None:
        self._ask("pause", name=self._names[stack.url])

    def resume(self, stack: SupabaseStack) -> None:
        self._ask("resume", name=self._names[stack.url])

    def facts(self) -> dict[str, Any]:
        return self._ask("facts")

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError), self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
        self._log.close()

    def _ask(self, action: str, **arguments: Any) -> dict[str, Any]:
        return self._exchange({"do": action, **arguments})

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line and wait for the answer to it; lines in between are said aloud."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                raise self._gone() from None
            for line in self._process.stdout:
                reply = json.loads(line)
                if "say" in reply:
                    self._say(reply["say"])
                elif "error" in reply:
                    raise StorageSetupError(reply["error"])
                else:
                    answer: dict[str, Any] = reply["answer"]
                    return answer
            raise self._gone()

    def _gone(self) -> StorageUnavailableError:
        if self._log.closed:
            return StorageUnavailableError("the Supabase stack was closed; start another one")
        self._log.seek(0)
        words = self._log.read().decode("utf-8", "replace").splitlines()[-1:]
        return StorageUnavailableError(f"the Supabase stack ended: {''.join(words) or 'it was killed'}; start it anew")
