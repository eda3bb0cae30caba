"""Drives the store over DynamoDB: dynalite, a server from npm with the same API, and a proxy in front of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Self

from aiobotocore.config import AioConfig
from dynamodb_store import DynamoDBBackend
from dynamodb_table import SESSION

from pytest_mcp_storage import BackendHarness, Capability
from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.stacks.supabase.binaries import NpmPackage, npm_folder

DYNALITE = NpmPackage("dynalite", "dynalite", "4.0.0")
TABLE = "mcp_sessions"
# The server keeps its items in memory and prints its port. It ends with its input, also if this process is killed.
SCRIPT = """
const server = require('dynalite')({createTableMs: 0});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();"""


@contextmanager
def dynalite() -> Iterator[int]:
    """Start a server on a free port, and return the port."""
    folder = npm_folder(DYNALITE, print)
    command = ["node", "--eval", SCRIPT]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()


def settings(port: int) -> dict[str, Any]:
    """Return the arguments of a client. dynalite accepts any credentials; proxy variables are ignored."""
    return {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "eu-central-1",
        "aws_access_key_id": "nobody",
        "aws_secret_access_key": "nothing",
        "verify": False,  # there is no TLS: saves reading the certificates for each client
        "config": AioConfig(proxies={}),
    }


class DynamoDBHarness(BackendHarness):
    """The store connects through the proxy; the harness reads and writes past the store with its own client."""

    name = "dynamodb"
    capabilities = frozenset(Capability) - {
        Capability.SETUP,
        Capability.FILES,
        Capability.FAIL_STEP,
        Capability.ROW_SECURITY,
    }

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.attached = bool(port)
        self.proxy: Any = None  # an attached harness has none
        self.opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self.attached:
            return self
        async with AsyncExitStack() as opening:
            server = dynalite()
            self.port = await asyncio.to_thread(server.__enter__)
            opening.push(server.__exit__)
            self.proxy = await opening.enter_async_context(FaultProxy(("127.0.0.1", self.port)))
            self.opened = opening.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.opened.aclose()

    async def open(self, **options: Any) -> DynamoDBBackend:
        given = {name: value for name, value in options.items() if value is not None}
        port = self.proxy.port if self.proxy else self.port
        backend = DynamoDBBackend(TABLE, settings(port), **given)
        await backend.init()
        return backend

    async def stored_bytes(self) -> bytes:
        async with self._client() as client:
            pages = [page["Items"] async for page in client.get_paginator("scan").paginate(TableName=TABLE)]
        return str(pages).encode()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        async with self._client() as client:
            item = (await client.get_item(TableName=TABLE, Key=key(identity, session_id))).get("Item")
        if item is None:
            raise LookupError(session_id)
        return dict(json.loads(item["body"]["S"]))

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        record = {**await self.stored_fields(identity, session_id), field: value}
        change = {"body": {"Action": "PUT", "Value": {"S": json.dumps(record)}}}
        async with self._client() as client:
            await client.update_item(TableName=TABLE, Key=key(identity, session_id), AttributeUpdates=change)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.REFUSE):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.proxy.fault(Fault.DROP_ANSWER):
            yield

    def locator(self) -> Mapping[str, Any]:
        return {"port": self.port}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(locator["port"])

    def _client(self) -> Any:
        return SESSION.create_client("dynamodb", **settings(self.port))


def key(identity: str, session_id: str) -> dict[str, Any]:
    return {"identity": {"S": f"user:{identity}"}, "session_id": {"S": session_id}}
