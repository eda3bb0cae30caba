"""The process that uses a store until it is killed: ``python -m pytest_mcp_storage.faults.worker_main``.

It reads its order, a line of JSON, from standard input, enters an attached harness, and opens the store. It writes
``{"ready": …}`` or ``{"failed": …}``, waits for a second line, and makes the calls of its plan. A call is reported on
standard output, as a line of JSON, only after the backend has returned: what was reported was acknowledged. The process
ends when its input ends, so it never outlives its parent.

:class:`pytest_mcp_storage.faults.worker_client.Worker` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

from pytest_mcp_storage.faults.worker_protocol import LONGEST_LINE, arguments_from_json, outcome_to_json
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.spec.tracebacks import raised_at
from reference_backends import StorageBackend


async def main() -> None:
    """Carry out the order."""
    orders = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    order = json.loads(await orders.readline())
    sys.path[:] = order["path"]
    try:
        harness = _attached(order)
        await harness.__aenter__()
        backend = await _open(harness, order)
    except Exception as error:
        report({"failed": f"{type(error).__name__}: {error}", "at": raised_at(error)})
        raise
    report({"ready": time.monotonic_ns()})
    await orders.readline()
    orphaned = asyncio.ensure_future(_end_with(orders))
    plan = enumerate(order["plan"])
    await asyncio.gather(*(_caller(backend, plan) for _ in range(order["callers"])))
    await backend.disconnect()
    await harness.__aexit__(None, None, None)
    orphaned.cancel()
    report({"done": time.monotonic_ns()})


def _attached(order: dict[str, Any]) -> BackendHarness:
    module, _, name = order["harness"].partition(":")
    try:
        kind: Any = attrgetter(name)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise ImportError(f"a worker can't import {order['harness']} ({error}): put the class into a module") from None
    harness: BackendHarness = kind.attach(order["locator"])
    return harness


async def _open(harness: BackendHarness, order: dict[str, Any]) -> StorageBackend:
    options = {}
    if order["encryption_key"] is not None:
        options["encryption_key"] = order["encryption_key"]
    if order["now"] is not None:
        options["clock"] = lambda: order["now"]
    return await harness.open(**options)


async def _caller(backend: StorageBackend, plan: Iterator[tuple[int, dict[str, Any]]]) -> None:
    """Make the remaining calls of the plan, one after another; all callers share the plan."""
    for place, step in plan:
        arguments = arguments_from_json(step["method"], step["arguments"])
        options = {} if step["ttl"] is None else {"ttl": step["ttl"]}
        result: object
        start = time.monotonic_ns()
        try:
            result = await getattr(backend, step["method"])(*arguments, **options)
        except Exception as error:
            result = error
        end = time.monotonic_ns()
        report({"place": place, "start": start, "end": end, **outcome_to_json(result)})


async def _end_with(orders: asyncio.StreamReader) -> None:
    await orders.read()
    os._exit(1)


def report(message: dict[str, Any]) -> None:
    """Write one whole line into the pipe: it arrives even if the next instruction is never reached."""
    line = memoryview(json.dumps(message).encode() + b"\n")
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    asyncio.run(main())
