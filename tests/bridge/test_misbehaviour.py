"""A bridge that violates the protocol is reported in time, and decides no clause."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.bridge import wire
from pytest_mcp_storage.bridge.backend import BridgeBackend
from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.wire import Limits
from pytest_mcp_storage.spec.harness import HarnessFault

MISBEHAVING = Path(__file__).parent / "misbehaving.py"
PATIENT = 60.0
"""Seconds within which a test must have its fault; each takes a few tenths of a second."""
UNHURRIED = Limits(start=PATIENT, provision=PATIENT, call=PATIENT, ping=PATIENT, leave=0.3)
QUICK = Limits(start=PATIENT, provision=PATIENT, call=0.3, ping=0.3, leave=0.3)
SHORTEST = Limits(start=0.3)
SILENT = {
    "never says hello": SHORTEST,
    **dict.fromkeys(["hangs", "hangs at ids", "writes half a line", "drips", "chats", "leaves a helper behind"], QUICK),
}
"""The faults that only a limit shows. All others show at once, and no limit passes first on a busy machine."""

Use = Callable[[StdioHarness, BridgeBackend], Awaitable[Any]]


def harness_of(fault: str) -> StdioHarness:
    limits = SILENT.get(fault, UNHURRIED)
    made = type("Made", (StdioHarness.of([sys.executable, str(MISBEHAVING), fault]),), {"limits": limits})
    harness: StdioHarness = made()
    return harness


async def fault_of(harness: StdioHarness, use: Use) -> str:
    """Return the fault with which the use of the harness ends, also if only its end shows it."""
    async with asyncio.timeout(PATIENT):
        with pytest.raises(BridgeFault) as caught:
            async with harness:
                await use(harness, await harness.open())
    assert isinstance(caught.value, HarnessFault)
    assert not alive(harness.wire.pid), "the process is gone when the harness is left"
    return str(caught.value)


def alive(pid: int) -> bool:
    """Return whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def read(harness: StdioHarness, backend: BridgeBackend) -> None:
    await backend.get_session("u", "s")
    await backend.get_session("u", "s")  # by now a second answer to the first has come


SEEN_IN_READING = [
    ("ends at once", "closed its stdout before it answered hello. It ended with status 3.*no such database"),
    ("ends at once, content", "closed its stdout before it answered hello. It ended with status 0. Its stderr is"),
    ("prints a banner", "a line that is not JSON in UTF-8.*My store, version 2"),
    ("says hello before it is asked", "answered call 7, which was never made"),
    ("never says hello", "did not answer 'hello' in time"),
    ("speaks another version", "uses version 2 of the protocol, but this suite uses 1"),
    ("says hello with a list", "'hello' with something that is not an object"),
    ("says hello without a name", "missing, unknown or invalid members: name"),
    ("declares what does not exist", r"unknown capabilities: TELEPATHY \(known: KEY, "),
    ("speaks endlessly", r"unknown capabilities: x+…\. Its stderr is empty\.$"),
    ("takes no lines", "missing, unknown or invalid members: maxLine"),
    ("provisions with a result", "'provision' with a result"),
    ("opens nothing", "'open' with something"),
    ("dies in mid-line", 'before it answered getSession in the middle of a line: \'{"id": '),
    ("is killed", "before it answered getSession. It ended by SIGKILL.*Segmentation fault, they say"),
    ("closes its stdout", "closed its stdout before it answered getSession"),
    ("writes half a line", "did not answer 'ping' in time; it wrote half a line: '{\"id\": 4, \"res'"),
    ("hangs", "did not answer 'ping' in time"),
    ("answers twice", "answered call 4 twice"),
    ("answers what was never asked", "answered call 999, which was never made"),
    ("answers with text for an id", "members id, result, not an id and a result"),
    ("answers with result and error", "members error, id, result, not"),
    ("answers with neither", "members id, not"),
    ("writes NaN", "not JSON in UTF-8.*NaN"),
    ("writes no UTF-8", "not JSON in UTF-8"),
    ("writes a list", "a line that is not an object"),
    ("writes an empty line", "a line that is not JSON"),
    ("writes without end", "a line of more than 67,108,864 bytes"),
    ("makes up a stand-in", "unknown stand-in"),
    ("begins with a mark", "a line that is not JSON"),
    ("writes two answers on a line", "not JSON.*Extra data"),
    ("counts without end", "not JSON"),
    ("answers by a fraction", "members id, result, not an id and a result"),
    ("drips", "did not answer 'ping' in time; it wrote half a line"),
    ("chats", "did not answer 'ping' in time"),
    ("raises without a message", "an error that is not of the form type and message"),
    ("logs at no level", "a log line without a message or with a level other than DEBUG"),
]


@pytest.mark.parametrize(("fault", "named"), SEEN_IN_READING)
async def test_what_a_bridge_does_wrong_is_named(fault: str, named: str) -> None:
    message = await fault_of(harness_of(fault), read)
    assert message.startswith(f"the bridge `{sys.executable} {MISBEHAVING} {fault}` ")
    assert re.search(named, message, re.DOTALL), message


async def clear(harness: StdioHarness, backend: BridgeBackend) -> None:
    await backend.clear_all()


async def generate(harness: StdioHarness, backend: BridgeBackend) -> None:
    backend.generate_session_id()


async def look(harness: StdioHarness, backend: BridgeBackend) -> None:
    await harness.stored_bytes()


async def look_at_fields(harness: StdioHarness, backend: BridgeBackend) -> None:
    await harness.stored_fields("u", "s")


async def list_files(harness: StdioHarness, backend: BridgeBackend) -> None:
    harness.files()


async def nothing(harness: StdioHarness, backend: BridgeBackend) -> None:
    pass


@pytest.mark.parametrize(
    ("fault", "use", "named"),
    [
        ("has something to say", clear, "'clearAll' with a result"),
        ("counts wrongly", generate, "a call for 1 session ids with something else"),
        ("hangs at ids", generate, "did not answer 'generateSessionIds' within 0.3 s"),
        ("shows no base64", look, "data that is not base64"),
        ("shows no parts", look, "not an object of data and next"),
        ("shows no fields", look_at_fields, "without tokens and headers"),
        ("has no files", list_files, "not a list of paths"),
        ("answers after the end", nothing, "answered call 4 twice"),
    ],
)
async def test_wrong_answers_to_other_calls_are_named(fault: str, use: Use, named: str) -> None:
    assert named in await fault_of(harness_of(fault), use)


@pytest.mark.parametrize("command", ["/no/such/program", "no-such-program-anywhere", str(MISBEHAVING.parent)])
async def test_what_is_no_program_is_named(command: str) -> None:
    with pytest.raises(BridgeFault, match=f"can't be started.*{command}"):
        await StdioHarness.of([command])().__aenter__()


@pytest.mark.parametrize("oddity", ["floods its stderr", "ends lines twice"])
async def test_what_is_odd_and_allowed_is_no_fault(oddity: str) -> None:
    async with asyncio.timeout(PATIENT), harness_of(oddity) as harness:
        await read(harness, await harness.open())


async def test_a_bridge_that_stops_reading_holds_up_nobody(session: Any) -> None:
    """The pipe to it is full, and the ping waits behind the lines that were not sent."""

    async def write(harness: StdioHarness, backend: BridgeBackend) -> None:
        large = session(tokens={"access_token": "x" * 2**20})
        calls = [backend.get_session("u", "s"), *(backend.create_session(large) for _ in range(8))]
        for got in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(got, BridgeFault)
        await backend.clear_all()

    assert "did not answer 'ping' in time" in await fault_of(harness_of("hangs"), write)


async def test_what_an_ended_bridge_had_started_is_ended() -> None:
    """It keeps the bridge's stdout open, so that the end of the bridge does not close it."""
    fault = await fault_of(harness_of("leaves a helper behind"), read)
    assert "did not answer 'ping' in time. It ended with status 1." in fault
    found = re.search(r"helper (\d+)", fault)
    assert found is not None
    await gone(int(found[1]))


async def test_what_a_bridge_leaves_behind_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "helper"
    command = [sys.executable, str(MISBEHAVING), "leaves, and a helper stays", str(note)]
    async with StdioHarness.of(command)() as harness:
        await read(harness, await harness.open())
    await gone(int(note.read_text()))


async def gone(pid: int) -> None:
    """Wait until a process that is not a child of this process has ended, or is a zombie."""
    async with asyncio.timeout(PATIENT):
        while alive(pid) and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_every_call_after_a_fault_reports_it_again() -> None:
    async with harness_of("writes a list") as harness:
        backend = await harness.open()
        first, second = await asyncio.gather(
            backend.get_session("u", "1"), backend.get_session("u", "2"), return_exceptions=True
        )
        with pytest.raises(BridgeFault) as third:
            await backend.clear_all()
        with pytest.raises(BridgeFault) as fourth:
            backend.generate_session_id()
        assert str(first) == str(second) == str(third.value) == str(fourth.value)
    # and the end is silent: the fault has been reported


async def test_a_bridge_that_does_not_leave_is_killed_and_blamed_no_further(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pytest_mcp_storage.bridge"):
        async with harness_of("does not leave") as harness:
            await read(harness, await harness.open())
    assert not alive(harness.wire.pid)
    assert "did not end within 0.3 s after its stdin was closed" in caplog.text


async def test_a_hanging_backend_is_no_fault_of_a_bridge_that_lives() -> None:
    full = Path(__file__).parent / "full.mjs"
    made = type("Made", (StdioHarness.of(["node", str(full)]),), {"limits": Limits(call=0.1, ping=PATIENT)})
    async with made() as harness:
        backend = await harness.open()
        asked = asyncio.Event()
        harness.wire.observer = lambda line: asked.set() if b'"ping"' in line else None
        hanging = asyncio.ensure_future(backend.get_session("u", "never"))
        async with asyncio.timeout(PATIENT):
            await asked.wait()  # the ping; it answers
        assert await backend.get_all_session_ids() == []
        assert not hanging.done()
        hanging.cancel()


async def test_an_answer_to_a_call_that_was_given_up_is_no_fault() -> None:
    async with StdioHarness.of(["node", str(Path(__file__).parent / "full.mjs")])() as harness:
        backend = await harness.open()
        given_up = asyncio.ensure_future(backend.get_session("u", "gate"))
        await backend.get_all_session_ids()
        given_up.cancel()
        assert await backend.get_session("u", "open the gate") is None
        assert await backend.get_all_session_ids() == []


async def test_a_line_that_the_bridge_does_not_take_is_not_sent(session: Any) -> None:
    from pytest_mcp_storage.spec.harness import NotMeasurable

    async with harness_of("nothing at all") as harness:
        backend = await harness.open()
        harness.wire.accepted = 1000
        with pytest.raises(NotMeasurable, match="accepts lines of 1,000 bytes; 'createSession' needs 1,"):
            await backend.create_session(session(tokens={"access_token": "x" * 1000}))
        await read(harness, backend)


@pytest.mark.parametrize("fault", ["is killed", "answers twice", "writes a list", "hangs"])
def test_no_clause_passes_or_fails_by_a_fault(tmp_path: Path, fault: str) -> None:
    """Run the suite on a bridge that fails: it ends, without a verdict."""
    (tmp_path / "harness.py").write_text(
        "from pytest_mcp_storage.bridge.harness import StdioHarness\n"
        "from pytest_mcp_storage.bridge.wire import Limits\n"
        f"Made = StdioHarness.of([{sys.executable!r}, {str(MISBEHAVING)!r}, {fault!r}])\n"
        "Made.limits = Limits(call=0.3, ping=0.3, leave=0.3)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--mcp-backend=harness:Made"]
    run = subprocess.run(
        [*command, "--mcp-tier=smoke", "--mcp-clause=RT-1,LC-2,ID-1", "--mcp-report=report.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode != 0, run.stdout
    (backend,) = json.loads((tmp_path / "report.json").read_text())["backends"]
    chosen = [clause for clause in backend["clauses"] if clause["id"] in ("RT-1", "LC-2", "ID-1")]
    assert [clause["outcome"] for clause in chosen] == ["not_measured"] * 3
    assert all("the bridge `" in clause["message"] for clause in chosen), chosen
    assert backend["verdict"] == "not_measured"


def test_the_longest_line_is_the_documented_one() -> None:
    document = Path(__file__).parents[2] / "docs" / "bridge-protocol.md"
    assert f"{wire.LONGEST_LINE:,}" in document.read_text()


async def test_a_handle_that_outlives_its_harness_fails_at_once() -> None:
    async with harness_of("nothing at all") as harness:
        backend = await harness.open()
    async with asyncio.timeout(PATIENT):
        for call in (backend.disconnect(), backend.get_session("u", "s")):
            with pytest.raises(BridgeFault, match="was ended"):
                await call
        with pytest.raises(BridgeFault, match="was ended"):
            backend.generate_session_id()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a child with its parent on Linux only: CRASH")
async def test_a_bridge_dies_with_the_process_that_started_it() -> None:
    """It has no time to see the end of its stdin, or to finish a call: CRASH depends on that."""
    program = (
        "import asyncio, sys\n"
        "from pytest_mcp_storage.bridge.harness import StdioHarness\n"
        "async def main():\n"
        f"    harness = StdioHarness.of([sys.executable, {str(MISBEHAVING)!r}, 'does not leave'])()\n"
        "    await harness.__aenter__()\n"
        "    print(harness.wire.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    await parent.communicate()
    await gone(pid)
