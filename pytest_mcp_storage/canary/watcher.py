"""A watch over what a store holds, while calls are running and after them: secrets in clear, and IVs that repeat."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from pytest_mcp_storage.canary.canaries import Canaries

_ENVELOPE = re.compile(rb"enc:1:([0-9a-f]{24}):([0-9a-f]{32}):")
_SLOW = 0.02
"""Seconds; a store that takes longer to show what it holds is looked at only after the calls."""
_REST = 4
"""A glance is followed by a pause of this many times its duration, so that the calls go on."""


class StoreWatcher:
    """Looks at a store's bytes through ``stored_bytes``. ``exposed`` and ``repeated`` say what was found, in words."""

    def __init__(self, stored_bytes: Callable[[], Awaitable[bytes]], canaries: Canaries) -> None:
        self._stored_bytes = stored_bytes
        self._canaries = canaries
        self._tags: dict[bytes, bytes] = {}
        self._planted: set[bytes] = set()
        self._seen = b""
        self.exposed = ""
        self.repeated = ""
        self.envelopes = 0

    async def look(self, when: str) -> None:
        """Search everything that is stored for secrets, in every encoding, and for IVs that were used before."""
        data = await self._stored_bytes()
        if not self.exposed and (found := self._canaries.found_in(data)):
            self.exposed = f"{when} the store holds {found}"
        self._compare(data, when)

    def leave_out(self, planted: str) -> None:
        """Leave out the IVs in a text that the store did not write; files and logs may show it long afterwards."""
        self._planted.update(iv for iv, _ in _ENVELOPE.findall(planted.encode()))

    async def compare(self, when: str) -> None:
        """Compare the IVs that are stored now with all that were seen before."""
        self._compare(await self._stored_bytes(), when)

    @asynccontextmanager
    async def watching(self, when: str) -> AsyncIterator[None]:
        """Look at the store again and again inside the context, for what is there for a moment only."""
        start = time.perf_counter()
        self._scan_quickly(await self._stored_bytes(), when)
        if time.perf_counter() - start > _SLOW:
            yield
            return
        over = asyncio.Event()
        task = asyncio.ensure_future(self._watch(when, over))
        try:
            yield
        finally:
            over.set()  # no cancellation: the client of a harness may swallow it, or be of no more use
            await task

    async def _watch(self, when: str, over: asyncio.Event) -> None:
        while not over.is_set():
            start = time.perf_counter()
            with suppress(Exception):  # an outage may end what the harness reads by, too
                self._scan_quickly(await self._stored_bytes(), when)
            taken = time.perf_counter() - start
            if taken < 0.001:
                await asyncio.sleep(0)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _REST * taken)

    def _scan_quickly(self, data: bytes, when: str) -> None:
        if data == self._seen:
            return
        self._seen = data
        if not self.exposed and (found := self._canaries.found_plainly_in(data)):
            self.exposed = f"{when} the store held {found} for a moment"
        self._compare(data, when)

    def _compare(self, data: bytes, when: str) -> None:
        for iv, tag in _ENVELOPE.findall(data):
            if self._tags.setdefault(iv, tag) != tag and iv not in self._planted and not self.repeated:
                self.repeated = f"{when} two stored envelopes have the IV {iv.decode()}"
        self.envelopes = len(self._tags)
