"""The watcher finds what a store holds for a moment, and IVs that are used for two values."""

from __future__ import annotations

import asyncio

import pytest

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import seal
from pytest_mcp_storage.canary.watcher import StoreWatcher

KEY = "5e" * 32


class Store:
    """Bytes that a test changes."""

    def __init__(self) -> None:
        self.data = b""

    async def read(self) -> bytes:
        return self.data


def test_a_secret_that_is_stored_for_a_moment_is_found() -> None:
    store, canaries = Store(), Canaries()
    watcher = StoreWatcher(store.read, canaries)

    async def work() -> None:
        async with watcher.watching("during a write"):
            store.data = canaries.secret("a token").encode()
            await asyncio.sleep(0.02)
            store.data = b""
            await asyncio.sleep(0.02)
        await watcher.look("after it")

    asyncio.run(work())
    assert watcher.exposed == "during a write the store held a token (in clear) for a moment"


def test_a_secret_under_an_encoding_is_found_at_the_end() -> None:
    store, canaries = Store(), Canaries()
    store.data = canaries.secret("a token").encode().hex().encode()
    watcher = StoreWatcher(store.read, canaries)
    asyncio.run(watcher.look("in the end"))
    assert watcher.exposed == "in the end the store holds a token (hex)"


@pytest.mark.parametrize(("same", "found"), [(True, False), (False, True)])
def test_an_iv_repeats_if_it_has_another_tag(same: bool, found: bool) -> None:
    one = seal(b'{"a":1}', KEY)
    other = one if same else seal(b'{"a":2}', KEY)._replace(iv=one.iv)
    store = Store()
    watcher = StoreWatcher(store.read, Canaries())

    async def work() -> None:
        for envelope in (one, other):
            store.data = str(envelope).encode()
            await watcher.look("then")

    asyncio.run(work())
    assert (watcher.repeated == f"then two stored envelopes have the IV {one.iv}") is found
    assert watcher.exposed == ""


def test_a_harness_that_fails_in_an_outage_ends_no_watch() -> None:
    async def fails() -> bytes:
        if calls:
            raise ConnectionError("the store is cut off")
        calls.append(1)
        return b""

    async def work() -> None:
        async with StoreWatcher(fails, Canaries()).watching("in an outage"):
            await asyncio.sleep(0.01)

    calls: list[int] = []
    asyncio.run(work())
    assert calls == [1]


def test_a_glance_is_not_cut_off_and_a_pause_is() -> None:
    """Some clients swallow a cancellation, as valkey's, and some can't be used after one."""
    calls: list[str] = []

    async def reads() -> bytes:
        try:
            await asyncio.sleep(0.005 if calls else 0)
        except asyncio.CancelledError:
            calls.append("cut off")
            raise
        calls.append("read")
        return b""

    async def work() -> None:
        for _ in range(3):
            async with asyncio.timeout(60), StoreWatcher(reads, Canaries()).watching("a call"):
                await asyncio.sleep(0.002)

    asyncio.run(work())
    assert "cut off" not in calls
    assert calls.count("read") >= 3
