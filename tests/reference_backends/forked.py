"""A child of the test process. It has the memory of its parent but none of its threads."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Callable, Coroutine
from typing import Any


def forked(child: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """Fork a child that runs this and ends with 0 if nothing is raised. Return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads is what is tested
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            asyncio.run(child())
            code = 0
        finally:
            os._exit(code)
    return pid
