"""The supervisor process: it starts the servers, runs the gateways, and ends with the process that started it.

``python -m pytest_mcp_storage.stacks.supervisor`` reads requests from its standard input and writes answers to its
standard output, one JSON object per line. It ends when its input ends: the pipe closes even if the other process is
killed. The servers are its children and end with it (see :mod:`pytest_mcp_storage.stacks.processes`). If it is killed
itself, the next run removes the files (see :mod:`pytest_mcp_storage.stacks.folders`).

The first line is the order, ``{"servers": "module:Class", "settings": {…}, "in_memory": true, "keys": "hs256"}``.
Then come requests, ``{"do": …}``. A line back is ``{"say": text}``, ``{"answer": {…}}`` or ``{"error": text}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mcp_storage.stacks.folders import run_folder
from pytest_mcp_storage.stacks.servers import Note
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from pytest_mcp_storage.stacks.supabase.servers import StoreServers
from reference_backends.core.errors import StorageError, StorageSetupError

if TYPE_CHECKING:
    from pytest_mcp_storage.stacks.supabase.gateway import Gateway


class Supervisor:
    """The servers of this process, and the gateways in front of them."""

    def __init__(self, servers: StoreServers, keys: ProjectKeys | None, note: Note) -> None:
        self.servers = servers
        self.keys = keys
        self.note = note
        self.gateways: dict[str, Gateway] = {}

    async def open(self, name: str, migrated: bool, max_rows: int, port: int) -> dict[str, Any]:
        """Make a store, with a gateway in front of it."""
        self.note.part("idle")
        upstream = await self.servers.add(name, migrated=migrated, max_rows=max_rows)
        self.note.part("database")
        if upstream.keys is not None:
            return {"url": str(upstream.address), "database_url": upstream.database_url, "keys": dict(upstream.keys)}
        from pytest_mcp_storage.stacks.supabase.gateway import Gateway  # PostgREST starts in the meantime

        self.note.part("gateway's import")
        assert self.keys is not None
        gateway = Gateway(self.keys, upstream.address)
        gateway.port = port
        try:
            await gateway.start()
            self.gateways[name] = gateway
            self.note.part("gateway")
            await self.servers.ready(name)
        except StorageError:
            await self.drop(name)
            raise
        self.note.part("postgrest")
        return {"url": gateway.url, "database_url": upstream.database_url, "keys": self.keys.as_attributes()}

    async def drop(self, name: str) -> dict[str, Any]:
        """Destroy a store."""
        if name in self.gateways:
            await self.gateways.pop(name).stop()
        await self.servers.remove(name)
        return {}

    async def pause(self, name: str) -> dict[str, Any]:
        """Close a store's gateway: its port refuses connections."""
        await self._gateway(name).stop()
        return {}

    async def resume(self, name: str) -> dict[str, Any]:
        """Open it again, on the same port."""
        await self._gateway(name).start()
        return {}

    def _gateway(self, name: str) -> Gateway:
        if name not in self.gateways:
            raise StorageSetupError("the gateway of this provider can't be stopped: use --mcp-supabase=native")
        return self.gateways[name]

    async def facts(self) -> dict[str, Any]:
        """Return process ids, folders, and how long each part took."""
        return {"supervisor": os.getpid(), "parts": self.note.parts, **self.servers.facts()}

    async def serve(self, requests: asyncio.StreamReader) -> None:
        """Answer requests until the input ends."""
        actions = {f.__name__: f for f in (self.open, self.drop, self.pause, self.resume, self.facts)}
        while line := await requests.readline():
            request = json.loads(line)
            action = actions[request.pop("do")]
            try:
                send({"answer": await action(**request)})
            except Exception as error:
                send({"error": describe(error)})

    async def close(self) -> None:
        """Close the gateways and end the servers."""
        for gateway in self.gateways.values():
            await gateway.stop()
        await self.servers.stop()


def send(message: Mapping[str, Any]) -> None:
    """Send one line to the other end, if it is still there."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


def describe(error: Exception) -> str:
    """Return an error's message; for other errors than the library's, with its type."""
    return str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"


async def orphaned(parent: int, requests: asyncio.StreamReader) -> None:
    """End the requests when ``parent`` has ended: a fork of it may still hold the pipe."""
    while os.getppid() == parent:  # noqa: ASYNC110 - there is no other portable way
        await asyncio.sleep(1.0)
    requests.feed_eof()


async def standard_input() -> asyncio.StreamReader:
    """Return standard input as a stream."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main() -> None:
    """Read the order, and run the servers in a folder for this run until the input ends."""
    note = Note(send)
    requests = await standard_input()
    order = json.loads(await requests.readline())
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(ending, requests.feed_eof)
    watch = asyncio.create_task(orphaned(os.getppid(), requests))
    try:
        with run_folder(in_memory=order["in_memory"]) as folder:
            await run_servers(order, folder, note, requests)
    except Exception as error:
        send({"error": describe(error)})
    finally:
        watch.cancel()


async def run_servers(order: Mapping[str, Any], folder: Path, note: Note, requests: asyncio.StreamReader) -> None:
    """Start the servers of the order, answer requests, and end the servers."""
    keys = ProjectKeys.generate(order["keys"]) if order["keys"] else None
    module, _, name = order["servers"].partition(":")
    kind: type[StoreServers] = getattr(import_module(module), name)
    supervisor = Supervisor(kind(folder, keys, **order["settings"]), keys, note)
    try:
        await supervisor.servers.start(note)
        send({"answer": {}})
        await supervisor.serve(requests)
    except BaseException:
        with contextlib.suppress(Exception):  # report the first error
            await supervisor.close()
        raise
    await supervisor.close()


if __name__ == "__main__":
    asyncio.run(main())
