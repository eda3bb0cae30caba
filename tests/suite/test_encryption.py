"""EN and MX: stores that keep them in odd ways are spared, and a failure says what was found where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability, Outcome
from pytest_mcp_storage.harnesses.memory import MemoryHarness
from pytest_mcp_storage.outcome import Measurement
from pytest_mcp_storage.zoo.sealing import SealingBackend
from pytest_mcp_storage.zoo.sheet import SheetHarness
from pytest_mcp_storage.zoo.shelf import ShelfBackend, ShelfHarness
from pytest_mcp_storage.zoo.specimens import defects
from reference_backends import StorageSetupError
from reference_backends.record import Record, RecordCodec


class _SealsAnew(RecordCodec):
    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        read = self.session(record).__dict__ if self.seals else {}
        opened = {field: value for field, value in read.items() if value is not None}
        return super().updated({**record, **opened}, changes)


class _SealsAnewBackend(SealingBackend):
    codec = _SealsAnew


class SealsAnewAtEachUpdate(ShelfHarness):
    """Reads the whole row, and refuses an update where it can't; then seals all of it with the first key."""

    backend = _SealsAnewBackend


class _Locked(ShelfBackend):
    async def init(self) -> None:
        holder = vars(self.shelf).setdefault("holder", self)
        if holder is not self:
            raise StorageSetupError("another handle is open; close it first")
        await super().init()

    async def disconnect(self) -> None:
        if vars(self.shelf).get("holder") is self:
            del vars(self.shelf)["holder"]
        await super().disconnect()


class OneHandleAtATime(ShelfHarness):
    """Takes a lock for as long as it is open, as embedded databases do."""

    backend = _Locked
    capabilities = ShelfHarness.capabilities - {Capability.SHARED}


class SeenAtRestAlone(ShelfHarness):
    """Declares neither that handles share a store nor that it outlives them."""

    capabilities = frozenset({Capability.KEY, Capability.AT_REST})


class OutlivesItsHandles(ShelfHarness):
    """Can't be looked at."""

    capabilities = frozenset({Capability.KEY, Capability.DURABLE})


SOUND = [
    MemoryHarness,
    ShelfHarness,
    SheetHarness,
    SealsAnewAtEachUpdate,
    OneHandleAtATime,
    SeenAtRestAlone,
    OutlivesItsHandles,
]


@pytest.mark.parametrize("group", ["EN", "MX"])
@pytest.mark.parametrize("sound", SOUND)
def test_a_sound_store_is_spared(
    judge: Callable[..., list[Measurement]], sound: type[BackendHarness], group: str
) -> None:
    seen = judge(sound, group, tier="smoke")
    assert [each for each in seen if each.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE)] == []


def test_a_failure_says_what_lies_where(caught: Callable[..., str]) -> None:
    harness = {each.name: each.harness for each in defects()}
    assert "the access token of a second update (compressed, then base64)" in caught(harness["PacksItsHistory"], "EN-1")
    assert "enc:1:" in caught(harness["SealsInCapitals"], "EN-2")
    assert "is that of" in caught(harness["FixedIv"], "EN-3")
    assert "session_id = None" in caught(harness["NamesNoSession"], "EN-7")
    assert "a log record of" in caught(harness["LogsEachCall"], "EN-10")
