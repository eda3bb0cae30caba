"""The bridge for Node, with a store that declares every capability."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.bridge.errors import ForeignAnswerError, ForeignError
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import NotMeasurable
from reference_backends import (
    DecryptionError,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    StorageError,
    StorageUnavailableError,
)

FULL = Path(__file__).parent / "full.mjs"

Make = Callable[..., SessionData]


async def test_the_handshake_says_what_it_can_do(full: StdioHarness) -> None:
    async with full as harness:
        assert harness.capabilities == set(Capability)
        assert harness.version == "full 1.0"
        assert harness.dedicated
        assert harness.time_limit == 3


async def test_a_session_goes_there_and_back(full: StdioHarness, session: Make) -> None:
    rich = session(
        server_id="a",
        server_name="b",
        headers={"__proto__": "x", "": "\0\u2028".replace("\0", "")},
        active=False,
        client_information={"$": "undefined"},
        tokens={"list": [1, 2.5, None, {}], "$": {"$": []}},
        code_verifier="v",
        client_id="c",
    )
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(rich)
        assert await backend.get_session("u1", "s1") == rich
        assert await backend.get_identity_sessions_data("u1") == [rich]
        await backend.update_session("u1", "s1", {"tokens": None, "active": None, "client_id": "d"})
        assert await backend.get_session("u1", "s1") == rich.model_copy(
            update={"tokens": None, "active": None, "client_id": "d"}
        )
        await backend.remove_session("u1", "s1")
        assert await backend.get_session("u1", "s1") is None


async def test_errors_keep_their_types(full: StdioHarness, session: Make) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session())
        await backend.create_session(session(session_id="locked"))
        with pytest.raises(SessionExistsError, match=r"^it exists$"):
            await backend.create_session(session())
        with pytest.raises(SessionNotFoundError, match="nothing there"):  # by the name of its class
            await backend.update_session("u1", "other", {})
        with pytest.raises(DecryptionError) as locked:
            await backend.update_session("u1", "locked", {})
        assert locked.value.session_id == "locked"
        with pytest.raises(ForeignError, match=r"^TypeError: another type$"):
            await backend.update_session("u1", "s1", {}, "throw")  # type: ignore[arg-type]
        with pytest.raises(ForeignError, match="thrown value: not even an error"):
            await backend.update_session("u1", "s1", {}, "reject")  # type: ignore[arg-type]
        assert not issubclass(ForeignError, StorageError)


async def test_answers_that_are_no_sessions_are_the_backends(full: StdioHarness) -> None:
    async with full as harness:
        backend = await harness.open()
        with pytest.raises(ForeignAnswerError, match="an unknown field"):
            await backend.get_session("u1", "odd")
        with pytest.raises(ForeignAnswerError, match="returned a number instead of a session"):
            await backend.get_session("u1", "number")
        with pytest.raises(ForeignAnswerError, match="a list that contains a number"):
            await backend.get_identity_mcp_sessions("odd")
        assert await backend.get_all_session_ids() == []


async def test_the_calls_past_the_backend(full: StdioHarness, session: Make) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session(tokens={"access_token": "planted"}))
        stored = await harness.stored_bytes()
        assert stored.startswith(b"x" * 5 * 2**20)  # in parts
        assert b"planted" in stored
        assert await harness.stored_fields("u1", "s1") == {
            "tokens": {"access_token": "planted"},
            "headers": None,
            "code_verifier": "enc:1:x",
        }
        with pytest.raises(LookupError):
            await harness.stored_fields("u1", "none")
        await harness.replace_stored_field("u1", "s1", "tokens", {"access_token": "replaced"})
        seen = await backend.get_session("u1", "s1")
        assert seen is not None
        assert seen.tokens == {"access_token": "replaced"}
        async with harness.outage():
            with pytest.raises(StorageUnavailableError):
                await backend.create_session(session(session_id="s2"))
        async with harness.lost_answer():
            await backend.create_session(session(session_id="s3"))
        async with harness.fail_request(1, "refused"):
            with pytest.raises(StorageUnavailableError):
                await backend.create_session(session(session_id="s5"))
            await backend.create_session(session(session_id="s5"))
        async with harness.unprepared("old"):
            pass
        assert [str(path) for path in harness.files()] == ["/the/main/file", "/another"]
        with pytest.raises(StorageError, match="not yours"):
            await harness.write_row_as("u2", session(session_id="s4"), "u1")
        await harness.write_row_as("u2", session(session_id="s4"), "u2")
        await harness.open_as(None)


async def test_another_process_finds_the_store(full: StdioHarness) -> None:
    async with full as harness:
        locator = json.loads(json.dumps(harness.locator()))
    async with type(full).attach(locator) as attached:
        backend = await attached.open()
        assert await backend.get_all_session_ids() == ["s"]
    assert StdioHarness.attach(locator).command == full.command, "the base class finds the program as well"


async def test_a_worker_may_attach_without_entering(full: StdioHarness) -> None:
    async with full as harness:
        locator = harness.locator()
    attached = type(full).attach(locator)
    backend = await attached.open()
    assert await backend.get_all_session_ids() == ["s"]
    attached.wire.close()


async def test_each_call_brings_the_time(full: StdioHarness, session: Make) -> None:
    clock = [5.25]
    async with full as harness:
        backend = await harness.open(clock=lambda: clock[0])
        await backend.create_session(session())
        clock[0] = 7.5
        await backend.create_session(session(session_id="s2"), 1.5)
        events = json.loads((await harness.stored_bytes())[5 * 2**20 :])[-1]
    assert [event["now"] for event in events] == [5.25, 7.5]
    assert events[1]["ttl"] == 1.5


async def test_console_goes_to_the_log_and_stdout_to_stderr(
    full: StdioHarness, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pytest_mcp_storage.bridge"):
        async with full as harness:
            await harness.open()
            await harness.open(encryption_key=["k1", "k2"])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "opened in clear"),
        ("WARNING", "opened [ 'k1', 'k2' ]"),
    ]


async def test_what_is_not_there_is_declined(session: Make) -> None:
    async with StdioHarness.of(["node", str(FULL)])() as harness:
        with pytest.raises(NotMeasurable, match="not that one"):
            await harness.open(default_ttl=1)
        backend = await harness.open()
        with pytest.raises(NotMeasurable, match="knows no call makeCoffee"):
            await harness.wire.call("makeCoffee")
        await backend.create_session(session(), "1")  # type: ignore[arg-type]


async def test_answers_may_overtake_one_another(full: StdioHarness, session: Make) -> None:
    async with full as harness:
        backend = await harness.open()
        order: list[str] = []

        async def read(name: str) -> None:
            await backend.get_session("u1", name)
            order.append(name)

        await asyncio.gather(read("gate"), *(read(f"quick {number}") for number in range(200)), read("open the gate"))
    assert order.index("gate") >= 200
    assert len(order) == 202


async def test_the_callers_changes_reach_the_backends_objects(full: StdioHarness, session: Make) -> None:
    """The store of full.mjs keeps the objects that it gets, and returns those that it keeps."""
    async with full as harness:
        backend = await harness.open()
        given = session(tokens={"deep": {"list": [1]}})
        await backend.create_session(given)
        assert given.tokens is not None
        given.tokens["deep"]["list"].append(2)
        given.tokens["more"] = True
        seen = await backend.get_session("u1", "s1")
        assert seen is not None
        assert seen.tokens == {"deep": {"list": [1, 2]}, "more": True}
        assert seen.tokens is not None
        del seen.tokens["more"]
        (listed,) = await backend.get_identity_sessions_data("u1")
        assert listed.tokens == {"deep": {"list": [1, 2]}}
        changes: dict[str, Any] = {"headers": {"h": "v"}}
        await backend.update_session("u1", "s1", changes)  # type: ignore[arg-type]
        changes["headers"]["h"] = "defaced"
        again = await backend.get_session("u1", "s1")
        assert again is not None
        assert again.headers == {"h": "defaced"}


async def test_a_backend_serves_two_loops(full: StdioHarness, session: Make) -> None:
    async with full as harness:
        backend = await harness.open()
        await backend.create_session(session())
        seen = await asyncio.to_thread(lambda: asyncio.run(backend.get_session("u1", "s1")))
        assert seen == await backend.get_session("u1", "s1") == session()


def test_it_ends_with_its_stdin() -> None:
    run = subprocess.run(["node", str(FULL)], input=b'{"id":1,"call":"ping"}\n', capture_output=True, timeout=30)
    assert run.stdout == b'{"id":1,"result":null}\n'
    assert run.returncode == 0


def test_no_environment_variable_of_ours_is_needed() -> None:
    run = subprocess.run(
        ["node", str(FULL)], input=b"", capture_output=True, timeout=30, env={"PATH": os.environ["PATH"]}
    )
    assert (run.returncode, run.stdout) == (0, b"")
