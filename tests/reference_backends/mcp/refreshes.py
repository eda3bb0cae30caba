"""Processes that share one login and refresh it all the time; counts the refreshes and the forced logins.

    python -m tests.reference_backends.mcp.refreshes sqlite redis supabase --refreshes 500 --processes 8

The authorization server rotates refresh tokens and ends the login if one is used twice. An access token expires after
two seconds, and most are revoked before, so that refreshes before the expiry and after a refusal both occur. Each
process runs the SDK's client against the SDK's server. Exit code 1 if a user would have had to sign in again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module
from typing import Any

from pytest_mcp_storage import BackendHarness
from reference_backends.mcp import SessionTokenStorage
from tests.reference_backends.mcp.servers import Browser, connected, greeting, provider, servers

KEY = "5e" * 32
LIFETIME = 2
REVOKED_AFTER = 0.2
"""Seconds after which an access token is revoked, as often as not."""


def harness(store: str) -> type[BackendHarness]:
    module = import_module(f"pytest_mcp_storage.harnesses.{store}")
    kind: type[BackendHarness] = getattr(module, f"{store.capitalize()}Harness")
    return kind


async def work(store: str, locator: dict[str, Any], url: str) -> None:
    """One process: call the tool until the standard input ends. Print how many calls, logins and errors there were."""
    backend = await harness(store).attach(locator).open(encryption_key=KEY)
    browser, counted = Browser(), Counter[str]()
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    auth = provider(url, SessionTokenStorage(backend, "alice", url), browser)
    try:
        async with connected(url, auth) as greet:
            while not stop.done():
                counted["calls"] += await greet() == "hello alice"
    except Exception as error:
        counted["errors"] += 1
        logging.exception("a call has failed")
        counted[type(error).__name__] += 1
        await stop
    await backend.disconnect()
    print(json.dumps({**counted, "logins": browser.logins}))


async def run(store: str, refreshes: int, processes: int) -> dict[str, Any]:
    """Return the figures of one store."""
    async with harness(store)() as own, servers() as setting:
        backend = await own.open(encryption_key=KEY)
        setting.authorization.lifetime, setting.authorization.delay = LIFETIME, 0.05
        await greeting(
            setting.url, provider(setting.url, SessionTokenStorage(backend, "alice", setting.url), Browser())
        )
        await backend.disconnect()
        command = [sys.executable, "-m", __spec__.name, store, "--work", json.dumps(dict(own.locator())), setting.url]
        workers = [
            await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(processes)
        ]
        begun, done = time.monotonic(), setting.authorization.done
        try:
            while done.count("refresh") < refreshes and all(each.returncode is None for each in workers):
                before = done.count("refresh")
                await asyncio.sleep(REVOKED_AFTER)
                if done.count("refresh") == before and random.random() < 0.9:
                    setting.authorization.access.clear()
            refreshed = done.count("refresh")
            answers = await asyncio.gather(*(each.communicate(b"") for each in workers))
        finally:
            for each in workers:
                if each.returncode is None:
                    each.kill()
                    await each.wait()
        counted = Counter[str]()
        for output, _ in answers:
            counted.update(json.loads(output or '{"died": 1}'))
        return {
            "store": store,
            "processes": processes,
            "refreshes": refreshed,
            "seconds": round(time.monotonic() - begun, 1),
            "reused": done.count("reuse"),
            "forced logins": done.count("authorize") - 1,
            **counted,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="+")
    parser.add_argument("--refreshes", type=int, default=500)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    if given.work:
        locator, url = given.work
        asyncio.run(work(given.store[0], json.loads(locator), url))
        return 0
    bad = 0
    for store in given.store:
        figures = asyncio.run(run(store, given.refreshes, given.processes))
        print(json.dumps(figures), flush=True)
        bad += sum(figures.get(name, 0) for name in ("forced logins", "reused", "errors", "died", "logins"))
        bad += figures["refreshes"] < given.refreshes
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
