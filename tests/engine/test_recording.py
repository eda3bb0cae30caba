"""The recording: calls are recorded, and forbidden exceptions are the store's failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pytest_mcp_storage.engine import recording as recording_module
from pytest_mcp_storage.engine.recording import History, RecordingBackend, blamed
from pytest_mcp_storage.engine.violation import Violation
from reference_backends import MemoryStorageBackend

Removal = Callable[[str, str], Any]


def watched(remove: Removal) -> tuple[RecordingBackend, History]:
    class Store(MemoryStorageBackend):
        async def remove_session(self, identity: str, session_id: str) -> None:
            await remove(identity, session_id)

    history = History()
    return RecordingBackend(Store(), "store", lambda: history), history


@pytest.mark.parametrize("end", [SystemExit("bye"), pytest.skip.Exception("no server")])
async def test_a_store_that_ends_the_process_or_skips_the_test_has_failed(end: BaseException) -> None:
    async def ends(identity: str, session_id: str) -> None:
        raise end

    store, history = watched(ends)
    with pytest.raises(Violation, match=f"remove_session raised {type(end).__name__}"):
        await asyncio.gather(store.remove_session("i", "s"))
    assert history.lines() == [f"store.remove_session('i', 's')  →  raised {type(end).__name__}: {end}"]


async def test_a_call_that_never_returns_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(identity: str, session_id: str) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(recording_module, "LONGEST_CALL", 0.01)
    store, history = watched(hangs)
    with pytest.raises(Violation, match="remove_session did not return"):
        await store.remove_session("i", "s")
    assert history.lines() == ["store.remove_session('i', 's')  →  did not return"]


async def test_an_error_of_the_store_is_marked_as_its_own() -> None:
    async def fails(identity: str, session_id: str) -> None:
        raise TimeoutError("the store's own")

    store, _ = watched(fails)
    with pytest.raises(TimeoutError, match="the store's own") as caught:
        await store.remove_session("i", "s")
    assert blamed(caught.value) == "remove_session"


async def test_a_long_history_is_shown_by_its_beginning_and_end() -> None:
    history = History()
    for number in range(100):
        history.note(f"remark {number}")
    lines = history.lines(most=8)
    assert lines[:3] == ["remark 0", "remark 1", "… 92 calls …"]
    assert lines[-1] == "remark 99"
    assert len(lines) == 9


async def test_a_method_without_async_is_explained() -> None:
    class Hasty(MemoryStorageBackend):
        def init(self) -> None: ...  # type: ignore[override]

    with pytest.raises(TypeError, match=r"^init must be written with async def; it returned a NoneType$") as caught:
        await RecordingBackend(Hasty(), "store", History).init()
    assert blamed(caught.value) == "init"
