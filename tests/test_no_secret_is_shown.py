"""No signature, help text, default or repr shows the environment, a key or a password."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import pytest
from redis.asyncio import Redis

import reference_backends as library
from pytest_mcp_storage.bridge.mcp_ts.redis import UpstreamRedis
from pytest_mcp_storage.harnesses.redis import RedisHarness
from pytest_mcp_storage.stacks.redis.endpoint import RedisServer
from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends.core.settings import Settings
from reference_backends.supabase.project import SupabaseProjectBackend

KEY = "5e" * 32
URL = "redis://:the-password@127.0.0.1:1"

WALK = """
import dataclasses, importlib, inspect, os, pkgutil, pydoc, sys
import pytest_mcp_storage, reference_backends

seen = 0
shown = []

def look(what, text):
    if os.environ["PLANTED"] in text:
        shown.append(what)

def signature(function):
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return ""

for package in (reference_backends, pytest_mcp_storage):
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            module = importlib.import_module(info.name)
        except ImportError as error:  # an optional package
            assert (error.name or "").split(".")[0] not in ("reference_backends", "pytest_mcp_storage"), error
            continue
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", info.name) != info.name or inspect.ismodule(value):
                continue
            seen += 1
            look(f"{info.name}.{name}", repr(value))
            look(f"signature of {info.name}.{name}", signature(value))
            if inspect.isclass(value) or inspect.isroutine(value):
                look(f"help of {info.name}.{name}", pydoc.render_doc(value))
            for part, held in list(vars(value).items()) if inspect.isclass(value) else []:
                look(f"signature of {info.name}.{name}.{part}", signature(getattr(held, "__func__", held)))
            if dataclasses.is_dataclass(value):
                look(f"fields of {info.name}.{name}", repr(dataclasses.fields(value)))
print(seen)
sys.exit("\\n".join(shown) or 0)
"""


def test_no_signature_help_or_default_shows_the_environment() -> None:
    environ = os.environ | {"PLANTED": "planted-3b1c", "STORAGE_ENCRYPTION_KEY": "planted-3b1c"}
    command = [sys.executable, "-W", "ignore", "-c", WALK]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 500


def objects() -> dict[str, Any]:
    project = SupabaseProjectBackend("https://x.supabase.co", "the-password", encryption_key=KEY)
    attached = RedisHarness.attach({"url": URL, "prefix": "p"})
    values = {each.name: "the-password" for each in dataclasses.fields(SupabaseStack) if each.init}
    stack = SupabaseStack(**values | {"url": "http://127.0.0.1:1", "provider": "url", "owned": True, "isolated": True})
    upstream = UpstreamRedis()
    upstream.url = URL
    return {
        "memory": library.MemoryStorageBackend(encryption_key=KEY),
        "file": library.FileStorageBackend("f", encryption_key=KEY),
        "sqlite": library.SqliteStorageBackend("f", encryption_key=KEY),
        "redis": library.RedisStorageBackend(Redis.from_url(URL), encryption_key=KEY),
        "supabase": project,
        "keyring": library.Keyring(KEY),
        "settings": Settings({"REDIS_URL": URL, "STORAGE_ENCRYPTION_KEY": KEY}),
        "redis server": RedisServer(URL, "url", "redis 8"),
        "redis harness": attached,
        "upstream": upstream,
        "stack": stack,
        "storage": library.storage,
    }


@pytest.mark.parametrize("name", objects())
def test_no_repr_shows_a_key_or_a_password(name: str) -> None:
    shown = f"{objects()[name]!r} {objects()[name]}"
    assert "the-password" not in shown
    assert KEY not in shown
