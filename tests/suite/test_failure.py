"""FA: a conforming store passes, and a message with a remedy is recognised. `mcp-storage zoo` runs the broken ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pytest_mcp_storage import NotMeasurable, Outcome
from pytest_mcp_storage.spec.outcome import Measurement
from pytest_mcp_storage.suite.test_mcp_failure import COMMAND
from pytest_mcp_storage.zoo.in_memory_store import InMemoryHarness, InMemoryStore
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness

Judge = Callable[..., list[Measurement]]


def test_a_conforming_store_is_passed(judge: Judge) -> None:
    assert {each.outcome for each in judge(InMemoryHarness, "FA")} == {Outcome.PASSED}


def test_what_nobody_can_cut_off_is_not_applicable(judge: Judge) -> None:
    assert {each.outcome for each in judge(JsonStoreHarness, "FA")} == {Outcome.NOT_APPLICABLE}


def test_a_store_that_comes_back_by_and_by_is_passed(judge: Judge) -> None:
    class Slow(InMemoryStore):
        """Refuses a few more requests after an outage, as a server that is still starting does."""

        left = 0

        async def pause(self) -> None:
            await super().pause()
            if self.cut:
                self.left = 3
            elif self.left:
                self.left -= 1
                raise ConnectionRefusedError("starting")

    class Starting(InMemoryHarness):
        time_limit = 60.0  # the store counts requests, not seconds: a pause of the machine must not end the wait

        def __init__(self) -> None:
            super().__init__()
            self.store = Slow()

    seen = judge(Starting, "FA-2")
    assert {each.outcome for each in seen} == {Outcome.PASSED}, seen


def test_a_harness_that_cannot_cut_it_off_after_all_is_not_measured(judge: Judge) -> None:
    class Unable(InMemoryHarness):
        @asynccontextmanager
        async def outage(self) -> AsyncIterator[None]:
            raise NotMeasurable("the proxy does not start")
            yield

    for seen in judge(Unable, "FA-1"):
        assert (seen.outcome, seen.message) == (Outcome.NOT_MEASURED, "the proxy does not start")


def test_store_wide_calls_leave_out_a_store_that_others_use(judge: Judge) -> None:
    class Shared(InMemoryHarness):
        dedicated = False

    seen = judge(Shared, "FA-1", destructive=False)
    assert {each.outcome for each in seen} == {Outcome.PASSED}
    assert any("clear_all" in note for each in seen for note in each.notes)


@pytest.mark.parametrize(
    "message",
    [
        "the table mcp_sessions is missing; apply the migrations: supabase db push",
        "run `mcp-storage supabase-init`",
        "Please execute alembic upgrade head",
        "CREATE TABLE mcp_sessions first",
    ],
)
def test_a_message_with_a_command_is_distinguished_from_one_without(message: str) -> None:
    assert COMMAND.search(message)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "relation mcp_sessions does not exist",
        "relation `mcp_sessions` does not exist",
        "supabase: could not execute the query",
        "[supabase] the table is missing",
        "the python client failed to run SELECT 1",
        "mcp-storage: setup error",
        "cannot push rows: the migration is missing",
    ],
)
def test_a_complaint_is_no_command(message: str) -> None:
    assert not COMMAND.search(message)
