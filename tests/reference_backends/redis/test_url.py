"""Redis URLs of upstream's client and of redis-py."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from pytest_mcp_storage.stacks.redis.server import redis_server
from reference_backends import ConfigurationError, RedisStorageBackend, create_storage
from reference_backends.redis.url import redis_client
from tests.reference_backends.redis.conftest import session

HERE = {"host": "localhost", "port": 6379}
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("redis://h:1", {"host": "h", "port": 1, "db": 0}),
    ("redis://h", {"host": "h"}),
    ("redis://", {}),
    ("redis://h:1/3", {"db": 3}),
    ("redis://h:1/3?db=3", {"db": 3}),
    ("redis://h:1?db=3", {"db": 3}),
    ("redis:///3", {"db": 3}),
    ("redis://h:1/?family=0", {"host": "h", "port": 1, "db": 0}),
    ("redis://h:1/2?family=6", {"db": 2}),
    ("redis://[::1]:1?family=6", {"host": "::1", "port": 1}),
    ("redis://user:p%40ss@h:1", {"username": "user", "password": "p@ss"}),
    ("redis://:p%2Fa?x".replace("?x", "@h"), {"password": "p/a"}),
    ("redis://default:a+b%20c@h", {"username": "default", "password": "a+b c"}),
    ("redis://h?username=u&password=p", {"username": "u", "password": "p"}),
    ("valkey://h:1/2", {"host": "h", "port": 1, "db": 2}),
    ("h:1", {"host": "h", "port": 1}),
    ("127.0.0.1:1/2?family=4", {"host": "127.0.0.1", "port": 1, "db": 2}),
    ("[::1]:1", {"host": "::1", "port": 1}),
    ("h", {"host": "h"}),
    ("redis:6379", {"host": "redis", "port": 6379}),
    (":1", {"port": 1}),
    ("1", {"host": "localhost", "port": 1}),
    ("//h:1", {"host": "h", "port": 1}),
    (":pass@h:1", {"host": "h", "port": 1, "password": "pass"}),
    ("/run/redis.sock", {"path": "/run/redis.sock"}),
    ("/run/redis.sock?db=4", {"path": "/run/redis.sock", "db": 4}),
    ("unix:///run/redis.sock?db=4", {"path": "/run/redis.sock", "db": 4}),
    ("unix://u:p@/run/redis.sock", {"path": "/run/redis.sock", "username": "u", "password": "p"}),
    ('"redis://h:1"\r', {"host": "h", "port": 1}),
    ("redis://h?connectTimeout=1500&connectionName=app", {"socket_connect_timeout": 1.5, "client_name": "app"}),
    ("redis://h?connectTimeout=0", {"host": "h"}),
    ("redis://h?lazyConnect=true&maxRetriesPerRequest=3&enableReadyCheck=false&keyPrefix=", {"host": "h"}),
    ("redis://u:p@h?allowUsernameInURI=true", {"username": "u"}),
    (
        "redis://h?protocol=2&socket_timeout=1.5&decode_responses=True",
        {"socket_timeout": 1.5, "decode_responses": "True"},
    ),
    ("redis://h?tls=false", {"host": "h"}),
]


@pytest.mark.parametrize(("url", "expected"), ACCEPTED)
def test_a_url_is_understood(url: str, expected: dict[str, Any]) -> None:
    settings = redis_client(url).connection_pool.connection_kwargs
    defaults = {"host": "localhost", "port": 6379, "db": 0}
    assert {name: settings.get(name, defaults.get(name)) for name in expected} == expected
    assert "family" not in settings


@pytest.mark.parametrize(
    "url", ["rediss://h:1", "valkeys://h:1", "redis://h:1?tls=true", "h:1?tls=1", "rediss://h?tls"]
)
def test_tls_is_understood(url: str) -> None:
    pool = redis_client(url).connection_pool
    assert pool.connection_class.__name__ == "SSLConnection"
    assert pool.connection_kwargs["host"] == "h"


REFUSED = [
    ("reddis://h", "not a Redis URL"),
    ("http://h", "not a Redis URL"),
    ("redis+sentinel://h:1/name", "not a Redis URL"),
    ("redis://h:1/name", "a database that is not a number"),
    ("redis://h:1?db=x", "a database that is not a number"),
    ("redis://h:1/1?db=2", "two databases"),
    ("redis://h:99999", "no valid host and port"),
    ("redis://h:port", "no valid host and port"),
    ("redis://[::1", "no valid host and port"),
    ("redis://a:1,b:2", "no valid host and port"),
    ("redis://a,b", "several servers"),
    ("redis://:hunter2/x@h:1", "percent-encode"),
    ("redis://:hunter2?x@h:1", "percent-encode"),
    ("redis://:hunter2#x@h:1", "percent-encode"),
    ("redis://:hunter2 x@h:1", "percent-encode"),
    ("redis://h?family=5", "other than 0, 4 and 6"),
    ("redis://h?sentinels=x", "the option 'sentinels'"),
    ("redis://h?keyPrefix=x:", "the option 'keyPrefix'"),
    ("redis://h?readOnly=true", "the option 'readOnly'"),
    ("redis://h?socket_timeout=hunter2", "a bad value"),
    ("redis://h?protocol=9", "a bad value"),
    ("redis://h?ssl_cert_reqs=none", "does not fit its scheme"),
    ("redis://h?connectTimeout=soon", "connectTimeout"),
    ("redis://h?retry=x", "the option 'retry'"),
    ("rediss://h?tls=false", "a tls option"),
    ("/s?tls=true", "a tls option"),
    ("unix://", "names no socket"),
    ("redis://:${PASSWORD}@h", "placeholder"),
    ("undefined", "undefined"),
]


@pytest.mark.parametrize(("url", "said"), REFUSED)
def test_what_can_not_be_honoured_is_named(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        redis_client(url, name="--from")
    assert said in str(raised.value)
    assert "--from" in str(raised.value)
    assert raised.value.__context__ is None
    assert "hunter2" not in "".join(traceback.format_exception(raised.value)).split("redis_client(url")[-1]


@pytest.mark.parametrize("url", ["{host}?family=0", "redis://{host}/0?family=4", "//{host}?connectTimeout=1000"])
async def test_the_store_opens_at_such_a_url(server: RedisServer, url: str) -> None:
    backend = await create_storage({"REDIS_URL": url.format(host=urlsplit(server.url).netloc)})
    assert isinstance(backend, RedisStorageBackend)
    await backend.create_session(session())
    assert await backend.get_all_session_ids() == ["s1"]
    await backend.disconnect()


async def test_the_store_opens_at_a_socket(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    async with redis_server(settings={"unixsocket": str(socket)}) as server:
        password = urlsplit(server.url).password
        for url in (f"{socket}?password={password}", f"unix://:{password}@{socket}?db=1"):
            backend = await create_storage({"REDIS_URL": url, "MCP_TS_STORAGE_STRICT": "1"})
            await backend.create_session(session())
            assert await backend.get_all_session_ids() == ["s1"]
            await backend.disconnect()


@pytest.mark.parametrize("url", ["{host}?family=0", "redis://{host}/0?family=6&connectionName=app"])
async def test_the_harness_takes_such_a_url(server: RedisServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url.format(host=urlsplit(server.url).netloc))
    async with RedisHarness() as harness, asyncio.timeout(60):
        backend = await harness.open()
        await backend.create_session(session())
        assert (await harness.stored_fields("alice", "s1"))["tokens"] is None
        async with harness.outage():
            with pytest.raises(Exception, match="can't be reached"):
                await backend.get_session("alice", "s1")
        await backend.disconnect()
