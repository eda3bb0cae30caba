"""All checks of an environment: the choice of the store, then the store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping

from pytest_mcp_storage.doctor import selection
from pytest_mcp_storage.doctor.finding import Finding
from reference_backends.core.settings import Settings

Clock = Callable[[], float]


async def examine(environ: Mapping[str, str], clock: Clock = time.time) -> list[Finding]:
    """Return the results of all checks, in order; ``clock`` returns seconds since the epoch."""
    settings = Settings(environ)
    findings = selection.check(settings)
    store = selection.chosen(settings)
    if store is not None:
        sealed = selection.has_key(settings)
        findings += [finding async for finding in _store_findings(store, settings, sealed, clock)]
    return findings


async def _store_findings(store: str, settings: Settings, sealed: bool, clock: Clock) -> AsyncIterator[Finding]:
    """Load the checks of one store only: each imports its client library."""
    match store:
        case "file" | "sqlite":
            from pytest_mcp_storage.doctor import files

            for finding in files.check(store, settings, sealed, clock):
                yield finding
        case "redis":
            from pytest_mcp_storage.doctor import redis

            async for finding in redis.check(settings.text("REDIS_URL"), sealed, clock):
                yield finding
        case "supabase":
            from pytest_mcp_storage.doctor import supabase

            async for finding in supabase.check(settings, sealed, clock):
                yield finding
