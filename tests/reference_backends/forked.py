"""A child of the test's own process, which has all of its memory and none of its threads."""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Callable, Coroutine
from typing import Any


def forked(child: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """The process id of a child that runs this, and ends with 0 where it raises nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: the very thing that is tested
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
