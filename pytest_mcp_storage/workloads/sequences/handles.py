"""The handles of planned sequences."""

from __future__ import annotations

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.spec.capabilities import Capability


class Handles:
    """The handles of all runs: with the key, and perhaps without one and with another."""

    def __init__(self, usual: list[RecordingBackend], clear: RecordingBackend | None, other: RecordingBackend | None):
        self.usual, self._clear, self._other = usual, clear, other

    @classmethod
    async def open(cls, context: TestContext) -> Handles:
        """Open them; each gives up a call that takes longer than the store may take to report an outage."""
        shared, keyed = context.can(Capability.SHARED), context.can(Capability.KEY)
        usual = [await context.open(*context.usual_keys, name=f"handle{n + 1}") for n in range(1 + shared)]
        clear = await context.open(name="keyless") if shared and keyed else None
        other = await context.open(context.other_key, name="other_key") if shared and keyed else None
        for each in (*usual, clear, other):
            if each is not None:
                each.limit = 1.5 * context.harness.time_limit
        return cls(usual, clear, other)

    @property
    def clear(self) -> RecordingBackend:
        """The handle without a key."""
        assert self._clear is not None
        return self._clear

    @property
    def other(self) -> RecordingBackend:
        """The handle with another key."""
        assert self._other is not None
        return self._other

    def all(self) -> list[RecordingBackend]:
        """Return every handle."""
        return [*self.usual, *(each for each in (self._clear, self._other) if each is not None)]
