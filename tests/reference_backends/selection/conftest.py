"""Real servers, and the variables that select them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

import pytest

from pytest_mcp_storage.stacks.redis.server import redis_server
from pytest_mcp_storage.stacks.supabase import native


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """Return the variables for each part of a configuration. Servers that are up are real."""
    folder = tmp_path_factory.mktemp("stores")
    nowhere = "http://127.0.0.1:9"
    with asyncio.Runner() as runner, native.start() as server:
        redis = redis_server(environ={"PATH": os.environ["PATH"]})
        redis_url = runner.run(redis.__aenter__()).url
        stack, bare = server.store(), server.store(migrated=False)
        service, anon = str(stack.service_role_key), str(stack.anon_key)
        yield {
            "redis": {"REDIS_URL": redis_url},
            "redis down": {"REDIS_URL": "redis://:the-password@127.0.0.1:9"},
            "redis wrong": {"REDIS_URL": "reddis://:the-password@127.0.0.1:9"},
            "file": {"MCP_TS_STORAGE_FILE": str(folder / "given.json")},
            "sqlite": {"MCP_TS_STORAGE_SQLITE_PATH": str(folder / "given.db")},
            "supabase": {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": service, "SUPABASE_ANON_KEY": anon},
            "supabase down": {"SUPABASE_URL": nowhere, "SUPABASE_SERVICE_ROLE_KEY": service},
            "supabase bare": {"SUPABASE_URL": bare.url, "SUPABASE_SERVICE_ROLE_KEY": service},
            "supabase anon": {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": "", "SUPABASE_ANON_KEY": anon},
            "supabase wrong key": {"SUPABASE_URL": stack.url, "SUPABASE_SERVICE_ROLE_KEY": "key\nof two lines"},
            "supabase secret": {"SUPABASE_URL": stack.url, "SUPABASE_SECRET_KEY": service},
            "supabase publishable": {"SUPABASE_URL": stack.url, "SUPABASE_PUBLISHABLE_KEY": anon},
            "supabase stale key": {
                "SUPABASE_URL": stack.url,
                "SUPABASE_SECRET_KEY": service,
                "SUPABASE_SERVICE_ROLE_KEY": "a key of before",
                "SUPABASE_PUBLISHABLE_KEY": anon,
            },
            "supabase no key": {"SUPABASE_URL": stack.url},
            "supabase only key": {"SUPABASE_SERVICE_ROLE_KEY": service},
            "empty": {
                "MCP_TS_STORAGE_TYPE": "",
                "REDIS_URL": "",
                "MCP_TS_STORAGE_FILE": "",
                "STORAGE_ENCRYPTION_KEY": "",
            },
        }
        runner.run(redis.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def environ_of(variables: dict[str, dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Return the environment of a configuration: ``MCP_TS_STORAGE_TYPE``, and the variables of the named parts."""

    def merged(type_: str | None, *names: str) -> dict[str, str]:
        environ = {} if type_ is None else {"MCP_TS_STORAGE_TYPE": type_}
        for name in names:
            environ |= variables[name]
        return environ

    return merged
