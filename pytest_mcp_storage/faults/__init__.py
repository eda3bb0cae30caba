"""What goes wrong between a store and its server, and to the processes that use it: made to happen on purpose.

:class:`~pytest_mcp_storage.faults.proxy.FaultProxy` stands between a client and a server and cuts them off;
:class:`~pytest_mcp_storage.faults.worker.Worker` is a process that works on a store until it is killed. Both serve
harnesses of other repositories too.
"""

from __future__ import annotations

from pytest_mcp_storage.faults.proxy import Fault, FaultProxy

__all__ = ["Fault", "FaultProxy"]
