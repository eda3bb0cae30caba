"""RE, CO-6 and CO-7: conforming stores pass, and what the harness owns is not the store's."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_mcp_storage import BackendHarness, Outcome
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness
from pytest_mcp_storage.zoo.mutants import resources

Judge = Callable[..., list[Measurement]]


class HoldsAConnectionForEachHandle(InMemoryHarness):
    """Makes a connection and a thread for each handle, and ends them when it destroys its store."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()
        self.sockets: list[socket.socket] = []

    async def open(self, **options: Any) -> Any:
        self.sockets += socket.socketpair()
        threading.Thread(target=self.ended.wait).start()
        return await super().open(**options)

    async def __aexit__(self, *exc: object) -> None:
        self.ended.set()
        for each in self.sockets:
            each.close()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect what the broken stores have left, so that its warnings do not fail a later test."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


def test_a_connection_for_each_handle_is_no_leak(judge: Judge) -> None:
    seen = judge(HoldsAConnectionForEachHandle, "RE", tier="smoke")
    assert [each for each in seen if each.outcome is not Outcome.PASSED] == []


@pytest.mark.parametrize(
    ("mutant", "clause", "message"),
    [
        (resources.LeavesItsThread, "RE-1", "threads were left"),
        (resources.LeavesItsTask, "RE-1", "tasks were left: sleep"),
        (resources.LeavesATemporaryFile, "RE-1", "temporary files were left: spool-"),
        (resources.KeepsTheSocketOfAFailedCall, "RE-2", "failing calls"),
        (resources.AConnectionForEachCaller, "RE-3", "200 concurrent calls took"),
    ],
)
def test_a_failure_says_what_was_left(
    failure_of: Callable[..., str], mutant: type[BackendHarness], clause: str, message: str
) -> None:
    assert message in failure_of(mutant, clause)
