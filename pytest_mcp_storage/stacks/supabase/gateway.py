"""A project's gateway: ``/rest/v1`` in front of PostgREST, with the keys of Supabase's own gateway.

PostgREST has no base path and accepts only JWTs. Clients call ``{url}/rest/v1/…`` with an ``apikey`` header. So the
gateway forwards each request with a shorter path, and with the JWT that belongs to its key.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from pathlib import Path

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    StreamReader,
    TCPConnector,
    UnixConnector,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys
from reference_backends.core.errors import StorageSetupError

PREFIX = "/rest/v1"
HOP_BY_HOP = frozenset(  # RFC 9110, 7.6.1: for one connection only
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "apikey"}
)
CHUNK = 256 * 1024
ONE_PIECE = 1024 * 1024
"""Answers of at most this many bytes are forwarded in one piece, which is faster."""

LONGEST_LINE = 65_536
"""Bytes. A name of 255 emoji is 3 KiB in a URL, and PostgREST repeats the URL in a header."""


class Gateway:
    """One project's gateway on a loopback port, in front of PostgREST at ``upstream``.

    ``upstream`` is the path of a Unix socket, or a base URL.
    """

    def __init__(self, keys: ProjectKeys, upstream: Path | str) -> None:
        self.keys = keys
        self.upstream = upstream
        self.port = 0
        self._runner: web.ServerRunner | None = None
        self._client: ClientSession | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen: on any free port the first time, on the same port after :meth:`stop`.

        Raises :class:`StorageSetupError` if the port is not free.
        """
        listener = _listener(self.port)
        unix = isinstance(self.upstream, Path)
        connector = UnixConnector(str(self.upstream), limit=0) if unix else TCPConnector(limit=0)
        self._client = ClientSession(
            connector=connector,
            auto_decompress=False,
            timeout=ClientTimeout(total=None),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        server = web.Server(
            self._answer,
            access_log=None,
            logger=logging.getLogger(__name__),
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and cut every connection: callers get a refused connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.rel_url.raw_path.startswith(f"{PREFIX}/") and request.path != PREFIX:
            return _refusal(404, "no Route matched with those values")
        key = request.headers.get("apikey")
        if key is None:
            return _refusal(401, "No API key found in request")
        bearer = authorization(self.keys, key, request.headers.get("Authorization"))
        if bearer is None:
            return _refusal(401, "Invalid API key")
        return await self._forward(request, bearer)

    async def _forward(self, request: web.BaseRequest, bearer: str) -> web.StreamResponse:
        assert self._client is not None
        headers = _end_to_end(request.headers)
        headers["Authorization"] = bearer
        base = "http://localhost" if isinstance(self.upstream, Path) else str(self.upstream)
        target = URL(base + (request.raw_path.removeprefix(PREFIX) or "/"), encoded=True)
        body = await _body(request)
        try:
            answer = await self._client.request(
                request.method, target, headers=headers, data=body, allow_redirects=False
            )
        except ClientError:
            return _refusal(503, "name resolution failed")
        async with answer:  # if this answer is cut off, the client's is too
            return await _pass_on(request, answer)


def authorization(keys: ProjectKeys, key: str, given: str | None) -> str | None:
    """Return the ``Authorization`` header for PostgREST; ``None`` if the key is not one of the project's.

    A JWT of the caller has precedence over the key. An opaque key is replaced by its JWT.
    """
    stands_for = keys.accepted.get(key)
    if stands_for is None:
        return None
    if given is not None and not given.startswith("Bearer sb_"):
        return given
    return f"Bearer {stands_for}"


async def _body(request: web.BaseRequest) -> bytes | StreamReader | None:
    if not request.body_exists:
        return None
    length = request.content_length
    return await request.read() if length is not None and length <= ONE_PIECE else request.content


async def _pass_on(request: web.BaseRequest, answer: ClientResponse) -> web.StreamResponse:
    headers = _end_to_end(answer.headers)
    if request.method == "HEAD" or (answer.content_length is not None and answer.content_length <= ONE_PIECE):
        return web.Response(status=answer.status, headers=headers, body=await answer.read())
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    async for chunk in answer.content.iter_chunked(CHUNK):
        await response.write(chunk)
    await response.write_eof()
    return response


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise StorageSetupError(
            f"the gateway can't listen on port {port} ({error.strerror}): "
            "choose another with --port, or leave it out for any free port"
        ) from None
    return listener
