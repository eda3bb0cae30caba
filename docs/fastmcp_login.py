"""Follow the FastMCP recipe of docs/key-value.md: a proxied login survives a restart of server and client.

``python docs/fastmcp_login.py`` needs ``fastmcp`` 4 and ``pytest-mcp-storage[key-value]``. It starts an identity
provider and a FastMCP server in separate processes on 127.0.0.1, logs in, kills the server, starts it again, and calls
a tool without a new login. Server and client keep their state in SQLite files in a temporary folder, or in the store
of the environment if ``MCP_TS_STORAGE_TYPE`` is set.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

KEY = secrets.token_hex(32)


def key_value(file: str, key: str) -> Any:
    """Return a store of py-key-value: on the environment's store if there is one, else on a SQLite file."""
    from reference_backends import SqliteStorageBackend, storage
    from reference_backends.key_value import SessionKeyValue

    if "MCP_TS_STORAGE_TYPE" in os.environ:
        return SessionKeyValue(storage, identity=file.rpartition("/")[2])
    return SessionKeyValue(SqliteStorageBackend(file, encryption_key=key))


def provider(port: int) -> None:
    """Serve an identity provider that signs everybody in and counts the logins."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    logins: list[str] = []

    async def authorize(request: Request) -> Response:
        logins.append("login")
        query = urlencode({"code": secrets.token_hex(8), "state": request.query_params["state"]})
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{query}", 302)

    async def token(request: Request) -> Response:
        answer = {"access_token": "upstream-access-token", "refresh_token": "upstream-refresh-token"}
        return JSONResponse({**answer, "token_type": "Bearer", "expires_in": 3600})

    async def count(request: Request) -> Response:
        return JSONResponse(len(logins))

    routes = [Route("/authorize", authorize), Route("/token", token, methods=["POST"]), Route("/count", count)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error")


def server(port: int, upstream: int, folder: str, key: str) -> None:
    """Serve the MCP server of the recipe."""
    from fastmcp import FastMCP
    from fastmcp.server.auth import OAuthProxy
    from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

    auth = OAuthProxy(
        upstream_authorization_endpoint=f"http://127.0.0.1:{upstream}/authorize",
        upstream_token_endpoint=f"http://127.0.0.1:{upstream}/token",
        upstream_client_id="client",
        upstream_client_secret="a-client-secret-of-the-upstream",  # noqa: S106
        token_verifier=StaticTokenVerifier({"upstream-access-token": {"client_id": "alice", "scopes": []}}),
        base_url=f"http://127.0.0.1:{port}",
        client_storage=key_value(f"{folder}/oauth.db", key),
    )
    mcp = FastMCP("demo", auth=auth)

    @mcp.tool
    def hello() -> str:
        return "hello"

    mcp.run(transport="http", host="127.0.0.1", port=port, log_level="error", show_banner=False)


async def call(port: int, folder: str) -> str:
    """Call a tool as a client that keeps its tokens in such a store too."""
    import httpx2
    from fastmcp import Client
    from fastmcp.utilities.tests import HeadlessOAuth

    class Browser(HeadlessOAuth):
        """Follows redirects, and approves the consent page as a person does."""

        async def redirect_handler(self, authorization_url: str) -> None:
            async with httpx2.AsyncClient() as browser:
                answer = await browser.get(authorization_url)
                while f"127.0.0.1:{port}" in str(answer.url) or "/authorize" in str(answer.url):
                    if answer.status_code == 200:
                        fields = dict(re.findall(r'name="([^"]+)"\s+value="([^"]*)"', answer.text))
                        answer = await browser.post(answer.url, data={**fields, "action": "approve"})
                    target = urljoin(str(answer.url), answer.headers["location"])
                    if "localhost" in target.partition("?")[0]:
                        break
                    answer = await browser.get(target)
                self._stored_response: Any = answer

    store = key_value(f"{folder}/client.db", KEY)
    url = f"http://127.0.0.1:{port}/mcp"
    auth = Browser(url, token_storage=store)
    try:
        async with Client(url, auth=auth) as client:
            return str((await client.call_tool("hello")).data)
    finally:
        await store.storage.disconnect()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(*words: str) -> subprocess.Popen[bytes]:
    """Start this program with other arguments, and wait until its port is open."""
    process = subprocess.Popen([sys.executable, __file__, *words])
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(words[1]))) == 0:
                return process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"{words[0]} did not start")


def logins(upstream: int) -> int:
    from urllib.request import urlopen

    return int(urlopen(f"http://127.0.0.1:{upstream}/count").read())


def main() -> None:
    upstream, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        processes = [start("provider", str(upstream))]
        try:
            processes.append(start("server", str(port), str(upstream), folder, KEY))
            print("first call:", asyncio.run(call(port, folder)), "· logins:", logins(upstream))
            processes[-1].kill()
            processes[-1].wait()
            processes.append(start("server", str(port), str(upstream), folder, KEY))
            print("after a restart:", asyncio.run(call(port, folder)), "· logins:", logins(upstream))
            stored = b"".join(path.read_bytes() for path in Path(folder).iterdir())
            shown = [word for word in (b"upstream-access-token", b"upstream-refresh-token") if word in stored]
            print("tokens in clear in the files:", len(shown))
            if logins(upstream) != 1 or shown:
                raise SystemExit(1)
        finally:
            for process in processes:
                process.kill()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["provider"]:
        provider(int(sys.argv[2]))
    elif sys.argv[1:2] == ["server"]:
        server(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        main()
