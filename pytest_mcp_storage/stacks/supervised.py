"""Servers that end with this process, even if it is killed: start their supervisor, send it requests, end it.

The supervisor (:mod:`.supervisor`) is a process that starts servers as its children. It ends them when the pipe from
this process closes, or when this process has ended but a fork of it still holds the pipe. All calls block.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pytest_mcp_storage.stacks.environment_variables import without_libpq
from reference_backends.core.errors import StorageSetupError, StorageUnavailableError


class Supervised:
    """The servers that ``order`` names, in a supervisor of this process. ``what`` names them in messages.

    Raises :class:`StorageSetupError` if they do not start.
    """

    def __init__(self, what: str, order: Mapping[str, Any], *, say: Callable[[str], None] = lambda text: None) -> None:
        self._what = what
        self._say = say
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_mcp_storage.stacks.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=without_libpq(os.environ),
            start_new_session=True,  # Ctrl-C is for this process, which then closes the pipe
        )
        try:
            self._exchange(order)
        except BaseException:
            self.close()
            raise

    def ask(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Return the supervisor's answer. Raises :class:`StorageSetupError` with its message if it can't do that."""
        return self._exchange({"do": action, **arguments})

    def close(self) -> None:
        """End the servers, and wait until they have ended. May be called twice."""
        with contextlib.suppress(BrokenPipeError), self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
        self._log.close()

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line and wait for its answer; pass progress lines on."""
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
            return StorageUnavailableError(f"{self._what} was closed; start another one")
        self._log.seek(0)
        words = self._log.read().decode("utf-8", "replace").splitlines()[-1:]
        return StorageUnavailableError(f"{self._what} ended: {''.join(words) or 'it was killed'}; start it again")
