"""What ``@mcp-ts/sdk`` keeps in Redis, carried over to any store here.

Upstream's file, its SQLite database and its Supabase table are read and written here as they are. Its Redis layout
can't be: the key of a session is ``mcp:session:<identity>:<session id>``, which two sessions may share (ID-3), and its
value goes through Lua's cjson, which turns ``[]`` into ``{}`` (RT-4). So its sessions are created anew, each with the
time that it has left, and read back before they count as carried over.
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
    """One of upstream's keys: the session in it, or the reason why it holds none."""

    key: str
    text: bytes = field(repr=False)
    session: SessionData | None = None
    problem: str = ""
    ttl: float | None = None
    """Seconds that are left; ``None`` where the key never expires, which upstream does not write."""


@dataclass
class Migration:
    """What became of upstream's sessions. ``refused`` says of each key that stayed behind why it did."""

    created: int = 0
    already_there: int = 0
    removed: int = 0
    """From upstream's keys, where that was asked for."""
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every session is in the target."""
        return not self.refused


async def migrate(source: Redis, target: StorageBackend, *, move: bool = False, dry_run: bool = False) -> Migration:
    """Create each of upstream's sessions in ``target``, which is open; with ``move`` remove it from Redis afterwards.

    It may be run again: a session that is in the target already, and equal, is passed over; one that differs is left
    alone in both. Nothing is removed that has not been read back from the target, or that has changed since it was
    read. Upstream should not be writing meanwhile: what it writes later is not carried over.

    Raises :class:`StorageError` where either store can't be used, and :class:`ConfigurationError` for a client that
    decodes responses: a value that is not UTF-8 could not be told.
    """
    if source.connection_pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError("the client of the source must not decode responses: leave decode_responses out")
    result = Migration()
    async for found in upstream_sessions(source):
        refusal = found.problem or await _carried(found, target, result, dry_run=dry_run)
        if refusal:
            result.refused[found.key] = refusal
        elif move and not dry_run:
            result.removed += await _removed(source, found)
    return result


async def upstream_sessions(source: Redis) -> AsyncIterator[Found]:
    """Every session that upstream keeps on a server, in no order. Raises :class:`StorageError`."""
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
        return Found(key, b"", problem="it holds no text")
    ttl = left / 1000 if isinstance(left, int) and left > 0 else None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return Found(key, text, problem="it holds no JSON")
    if not isinstance(fields, dict):
        return Found(key, text, problem="it holds no object")
    try:
        session = SessionData.model_validate({name: value for name, value in fields.items() if value is not None})
    except InvalidSessionError as error:
        return Found(key, text, problem=str(error))
    if key != f"{PREFIX}{session.identity}:{session.session_id}":
        return Found(key, text, problem="it names another identity or session id than its key")
    return Found(key, text, session=session, ttl=ttl)


async def _carried(found: Found, target: StorageBackend, result: Migration, *, dry_run: bool) -> str:
    """Why the session could not be carried over; empty where it lies in the target now, or would."""
    session = found.session
    assert session is not None
    try:
        there = await target.get_session(session.identity, session.session_id)
    except DecryptionError as error:
        return f"the target has a session of this id that cannot be read: {error}"
    if there == session:
        result.already_there += 1
        return ""
    if there is not None:
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
        raise StorageError("the target did not keep a session as it was created; nothing was removed from the source")
    result.created += 1
    return ""


async def _removed(source: Redis, found: Found) -> bool:
    """Whether the key, unchanged since it was read, and its entry in upstream's index are gone."""
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
