"""Distribute a run over the workers of xdist: each backend to one worker, so that its server starts once."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from pytest_mcp_storage.suite import PREFIX


class ByBackend(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a backend to one worker, and the user's own tests by module."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        return test.rpartition("[")[2] if module.startswith(PREFIX) and test.endswith("]") else module


def scheduler(config: pytest.Config, log: Any, backends: int) -> ByBackend | None:
    """Return the scheduler where there are more backends than workers; else xdist's own does better.

    A choice of the user's (``--dist``) is kept.
    """
    workers = len(config.getoption("tx") or ())
    return ByBackend(config, log) if config.getoption("dist") == "load" and 1 < workers < backends else None
