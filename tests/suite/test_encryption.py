"""EN and MX: conforming stores of unusual design pass, and a failure says what was found in which place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Capability, Outcome
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness
from pytest_mcp_storage.zoo.registry import all_mutants
from pytest_mcp_storage.zoo.sealing import SealingBackend
from reference_backends import StorageSetupError
from reference_backends.core.record import Record, RecordCodec


class _SealsAnew(RecordCodec):
    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        read = self.session(record).__dict__ if self.seals else {}
        opened = {field: value for field, value in read.items() if value is not None}
        return super().updated({**record, **opened}, changes)


class _SealsAnewBackend(SealingBackend):
    codec = _SealsAnew


class SealsAnewAtEachUpdate(InMemoryHarness):
    """Reads the whole row, refuses an update if it can't, and seals all of it with the first key."""

    backend = _SealsAnewBackend


class _Locked(InMemoryBackend):
    async def init(self) -> None:
        holder = vars(self.store).setdefault("holder", self)
        if holder is not self:
            raise StorageSetupError("another handle is open; close it first")
        await super().init()

    async def disconnect(self) -> None:
        if vars(self.store).get("holder") is self:
            del vars(self.store)["holder"]
        await super().disconnect()


class OneHandleAtATime(InMemoryHarness):
    """Holds a lock while it is open, as embedded databases do."""

    backend = _Locked
    capabilities = InMemoryHarness.capabilities - {Capability.SHARED}


class SeenAtRestAlone(InMemoryHarness):
    """Declares neither that handles share a store nor that it outlives them."""

    capabilities = frozenset({Capability.KEY, Capability.AT_REST})


class OutlivesItsHandles(InMemoryHarness):
    """Declares no AT_REST."""

    capabilities = frozenset({Capability.KEY, Capability.DURABLE})


CONFORMING = [SealsAnewAtEachUpdate, SeenAtRestAlone, OutlivesItsHandles]
"""Stores that neither the zoo nor `make conformance-all` judges."""


@pytest.mark.parametrize("group", ["EN", "MX"])
@pytest.mark.parametrize("conforming", CONFORMING)
def test_a_conforming_store_is_passed(
    judge: Callable[..., list[Measurement]], conforming: type[BackendHarness], group: str
) -> None:
    seen = judge(conforming, group, tier="smoke")
    assert [each for each in seen if each.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE)] == []


def test_a_failure_says_what_is_left_where(failure_of: Callable[..., str]) -> None:
    harness = {each.name: each.harness for each in all_mutants()}
    assert "the access token of a second update (compressed, then base64)" in failure_of(
        harness["PacksItsHistory"], "EN-1"
    )
    assert "enc:1:" in failure_of(harness["SealsInCapitals"], "EN-2")
    assert "is that of" in failure_of(harness["FixedIv"], "EN-3")
    assert "session_id = None" in failure_of(harness["NamesNoSession"], "EN-7")
    assert "a log record of" in failure_of(harness["LogsEachCall"], "EN-10")
