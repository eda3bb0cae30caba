"""The backend that makes its own client, with a gateway that uses TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from reference_backends import StorageUnavailableError
from reference_backends.supabase.project import SupabaseProjectBackend

NO_ROWS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"


class Gateway:
    """A server that answers every request without rows, with HTTP/1.1, after ``patience`` seconds."""

    def __init__(self) -> None:
        self.url = ""
        self.patience = 0.0
        self.protocols: list[str | None] = []
        """What was agreed on, for each connection."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while await reader.read(65_536):
            await asyncio.sleep(self.patience)
            writer.write(NO_ROWS)
        writer.close()


@pytest.fixture
async def gateway(certificate: Path) -> AsyncIterator[Gateway]:
    """Run a gateway that prefers HTTP/2, as Supabase's own does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    gateway = Gateway()
    async with await asyncio.start_server(gateway.serve, "127.0.0.1", 0, ssl=context) as server:
        gateway.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield gateway


@pytest.fixture
async def project(gateway: Gateway) -> AsyncIterator[Callable[..., SupabaseProjectBackend]]:
    """Return a function that makes backends. Disconnect them at the end of the test."""
    backends: list[SupabaseProjectBackend] = []

    def make(**options: float) -> SupabaseProjectBackend:
        backends.append(SupabaseProjectBackend(gateway.url, "key", **options))  # type: ignore[arg-type]
        return backends[-1]

    yield make
    for backend in backends:
        await backend.disconnect()


async def test_it_takes_no_http_2(
    gateway: Gateway,
    certificate: Path,
    project: Callable[..., SupabaseProjectBackend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With HTTP/2, httpx fails the calls that the server answers after it has announced the end of the connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    backend = project()
    await backend.init()
    assert await backend.get_all_session_ids() == []
    assert gateway.protocols == ["http/1.1"]


async def test_the_time_limit_is_the_one_that_was_given(
    gateway: Gateway,
    certificate: Path,
    project: Callable[..., SupabaseProjectBackend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shorter default of httpx is not used."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    backend = project(time_limit=60.0)
    gateway.patience = 5.5
    await backend.init()
    hasty = project(time_limit=0.5)
    with pytest.raises(StorageUnavailableError, match="in time"):
        await hasty.init()


async def test_a_certificate_that_is_not_trusted_is_named(
    project: Callable[..., SupabaseProjectBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with pytest.raises(StorageUnavailableError, match="does not trust its certificate; check SUPABASE_URL") as raised:
        await project().init()
    assert raised.value.__context__ is None
