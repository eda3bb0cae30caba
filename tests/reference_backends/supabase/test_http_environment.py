"""Variables that httpx and OpenSSL read: the error for a bad one has its name but not its value."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reference_backends import ConfigurationError, StorageError, StorageUnavailableError
from reference_backends.supabase.project import SupabaseProjectBackend

URL = "http://project.invalid"
VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "setting",
    [
        "NO_PROXY=[::1],localhost",
        "no_proxy=fd00:1234::/64",
        "NO_PROXY=[fd00::]/8",
        "NO_PROXY=secret.example:port",
        "ALL_PROXY=socks5://user:secret@127.0.0.1:9",
        "all_proxy=socks5h://127.0.0.1:9",
        "HTTPS_PROXY=proxy://127.0.0.1:8080",
        "HTTP_PROXY=socks4://user:secret@127.0.0.1:8080",
        "https_proxy=http://user:secret@host:port",
        "SSL_CERT_FILE=/nonexistent/secret.pem",
        "SSL_CERT_FILE=/",
        "SSLKEYLOGFILE=/nonexistent/secret",
    ],
)
def test_what_prevents_a_client_is_named(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        SupabaseProjectBackend(URL, "sb_secret_x")
    assert raised.value.__context__ is None
    assert name.upper() in str(raised.value).upper()
    assert "secret" not in str(raised.value)
    assert "SUPABASE_URL" not in str(raised.value)


def test_a_certificate_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE names holds no certificate"):
        SupabaseProjectBackend(URL, "sb_secret_x")


def test_of_two_proxies_the_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:8080")
    monkeypatch.setenv("HTTPS_PROXY", "ftp://127.0.0.1:8080")
    with pytest.raises(ConfigurationError, match="the proxy in HTTPS_PROXY is"):
        SupabaseProjectBackend(URL, "sb_secret_x")


async def refused(url: str) -> StorageError:
    """Return the error of ``init`` for a project."""
    backend = SupabaseProjectBackend(url, "sb_secret_x")
    try:
        with pytest.raises(StorageError) as raised:
            await backend.init()
    finally:
        await backend.disconnect()
    return raised.value


@asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_asks_for_a_login(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(b"407 Proxy Authentication Required") as url:
        monkeypatch.setenv(f"{scheme}_proxy", url)
        error = await refused(f"{scheme}://project.invalid")
    assert type(error) is ConfigurationError
    assert "the proxy asks for a login" in str(error)


async def test_a_proxy_that_does_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(b"403 Forbidden") as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await refused("https://project.invalid")
    assert type(error) is StorageUnavailableError
    assert "the proxy in HTTPS_PROXY" in str(error)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
async def test_a_proxy_that_is_down_is_named(name: str, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{unused_tcp_port}")
    error = await refused("http://project.invalid")
    assert type(error) is StorageUnavailableError
    assert f"nothing listens there; check the proxy in {name}" in str(error)
    assert "secret" not in str(error)


async def test_a_proxy_that_is_not_used_is_not_named(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "proxy" not in str(await refused(f"http://127.0.0.1:{unused_tcp_port}"))


@pytest.fixture
async def behind_tls(certificate: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SSL_CERT_FILE", lambda path: path), ("SSL_CERT_DIR", lambda path: "/nonexistent")],
    ids=["SSL_CERT_FILE", "SSL_CERT_DIR"],
)
async def test_the_variable_that_decides_about_trust_is_named(
    behind_tls: str,
    variable: str,
    value: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import certifi

    monkeypatch.setenv(variable, value(certifi.where()))
    error = await refused(behind_tls)
    assert f"does not trust its certificate ({variable} is set" in str(error)


async def test_https_to_a_port_that_speaks_http() -> None:
    async with proxy(b"200 OK") as url:
        error = await refused(url.replace("http:", "https:"))
    assert type(error) is StorageUnavailableError
    assert "plain http" in str(error)
