"""Faults between a store and its server, and of the processes that use it. This package does not import the suite.

- ``proxy``: :class:`FaultProxy`, a TCP proxy that cuts connections and loses responses.
- ``worker_client``: :class:`Worker`, a process that uses a store until it is killed.
- ``worker_main``: that process: ``python -m pytest_mcp_storage.faults.worker_main``.
- ``worker_protocol``: what the two send to each other.
- ``damage``: damaged files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mcp_storage.faults.proxy import Fault, FaultProxy
    from pytest_mcp_storage.faults.worker_client import Step, Worker, WorkerError

_HOMES = {
    "Fault": "proxy",
    "FaultProxy": "proxy",
    "Step": "worker_client",
    "Worker": "worker_client",
    "WorkerError": "worker_client",
}

__all__ = ["Fault", "FaultProxy", "Step", "Worker", "WorkerError"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
