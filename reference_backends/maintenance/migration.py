"""Copy the sessions that ``@mcp-ts/sdk`` keeps in Redis to any store of this package.

The stores of this package use the file, the SQLite database and the Supabase table of ``@mcp-ts/sdk`` unchanged. Its
Redis layout cannot be used: the key of a session is ``mcp:session:<identity>:<session id>``, which two sessions may
share (ID-3), and its value passes through Lua's cjson, which turns ``[]`` into ``{}`` (RT-4). So each session is
created in the target with the remaining TTL, and read back before it counts as copied.

Here "upstream" is ``@mcp-ts/sdk``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reference_backends.core.errors import (
    ConfigurationError,
    DecryptionError,
    InvalidSessionError,
    SessionExistsError,
    StorageError,
)
from reference_backends.core.protocol import StorageBackend
from reference_backends.core.session import SessionData
from reference_backends.redis.errors import FAILURES, explain

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "mcp:session:"
PAGE = 500
"""Keys that are read in one round trip."""


@dataclass(frozen=True)
class Found:
    """One of upstream's keys: the session in it, or the reason why it does not hold one."""

    key: str
    text: bytes = field(repr=False)
    session: SessionData | None = None
    problem: str = ""
    ttl: float | None = None
    """The remaining seconds; ``None`` if the key never expires. Upstream writes no such key."""


@dataclass
class Migration:
    """The result: how many sessions were copied. ``refused`` has the reason for each key that was not."""

    created: int = 0
    already_there: int = 0
    removed: int = 0
    """Sessions that were removed from the source."""
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every session is in the target."""
        return not self.refused


async def migrate(source: Redis, target: StorageBackend, *, move: bool = False, dry_run: bool = False) -> Migration:
    """Create each of upstream's sessions in the open ``target``. With ``move`` remove it from Redis afterwards.

    It may be run again: a session that is in the target already and equal is skipped; a session that differs is
    changed in neither store. A session is removed only if it was read back from the target and has not changed since
    it was read. Upstream must not write meanwhile: its later writes are not copied.

    Raise :class:`StorageError` if either store cannot be used, and :class:`ConfigurationError` if the client decodes
    responses: then a value that is not UTF-8 would raise an error of redis-py.
    """
    if source.connection_pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError("the client of the source decodes responses: create it without decode_responses")
    result = Migration()
    async for found in upstream_sessions(source):
        refusal = found.problem or await _copy(found, target, result, dry_run=dry_run)
        if refusal:
            result.refused[found.key] = refusal
        elif move and not dry_run:
            result.removed += await _remove(source, found)
    return result


async def upstream_sessions(source: Redis) -> AsyncIterator[Found]:
    """Yield every session that upstream keeps on a server, in any order. Raise :class:`StorageError`."""
    seen: set[bytes] = set()
    cursor = 0
    while True:
        try:
            cursor, keys = await source.scan(cursor, match=f"{PREFIX}*", count=PAGE)
            fresh = [key for key in map(bytes, keys) if key not in seen]  # type: ignore[arg-type]
            seen.update(fresh)
            async with source.pipeline(transaction=False) as pipeline:
                for key in fresh:
                    pipeline.get(key)
                    pipeline.pttl(key)
                answers = await pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            problem = explain(error, "the Redis server with upstream's sessions")
        else:
            for key, text, left in zip(fresh, answers[::2], answers[1::2], strict=True):
                if text is not None and left not in (0, -2):  # else it has expired since
                    yield _found(key.decode(errors="backslashreplace"), text, left)
            if cursor == 0:
                return
            continue
        raise problem


def _found(key: str, text: Any, left: Any) -> Found:
    if not isinstance(text, bytes):
        return Found(key, b"", problem="its value is not text")
    ttl = left / 1000 if isinstance(left, int) and left > 0 else None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return Found(key, text, problem="its value is not JSON")
    if not isinstance(fields, dict):
        return Found(key, text, problem="its value is not a JSON object")
    try:
        session = SessionData.model_validate({name: value for name, value in fields.items() if value is not None})
    except InvalidSessionError as error:
        return Found(key, text, problem=str(error))
    if key != f"{PREFIX}{session.identity}:{session.session_id}":
        return Found(key, text, problem="its value names another identity or session id than the key")
    return Found(key, text, session=session, ttl=ttl)


async def _copy(found: Found, target: StorageBackend, result: Migration, *, dry_run: bool) -> str:
    """Copy a session to the target. Return why that failed; empty if the session is in the target now, or would be."""
    session = found.session
    assert session is not None
    try:
        existing = await target.get_session(session.identity, session.session_id)
    except DecryptionError as error:
        return f"the target has a session of this id that cannot be read: {error}"
    if existing == session:
        result.already_there += 1
        return ""
    if existing is not None:
        return "the target has another session of this id"
    if dry_run:
        result.created += 1
        return ""
    ends = math.inf if found.ttl is None else time.monotonic() + found.ttl
    try:
        await target.create_session(session, found.ttl)
    except (SessionExistsError, InvalidSessionError) as error:
        return str(error)
    kept = await target.get_session(session.identity, session.session_id)
    has_expired = kept is None and time.monotonic() >= ends
    if kept != session and not has_expired:
        raise StorageError("the target did not keep a session unchanged; the source still has it; check the target")
    result.created += 1
    return ""


async def _remove(source: Redis, found: Found) -> bool:
    """Remove the key and its entry in upstream's index, if the key has not changed since it was read.

    Return whether they were removed.
    """
    from redis.exceptions import WatchError

    session = found.session
    assert session is not None
    try:
        async with source.pipeline(transaction=True) as pipeline:
            await pipeline.watch(found.key)
            if await pipeline.get(found.key) != found.text:
                return False
            pipeline.multi()  # type: ignore[no-untyped-call]
            pipeline.delete(found.key)
            pipeline.srem(f"mcp:identity:{session.identity}:sessions", session.session_id)
            await pipeline.execute()
    except WatchError:
        return False
    except FAILURES as error:
        problem = explain(error, "the Redis server with upstream's sessions")
    else:
        return True
    raise problem
