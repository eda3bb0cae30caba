"""DU · durability: what was acknowledged outlives its handle and its process, and a damaged store is left alone."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.faults.damage import DAMAGES, inflict, main_file, parts
from pytest_mcp_storage.oracle.assertions import assert_shows
from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.generators import changes, families, sessions
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.describe import describe
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
from pytest_mcp_storage.workloads.crash import assert_survives_a_kill, creates_and_removals, large_updates
from reference_backends import SessionData, StorageSetupError

LARGE = "x" * 256 * 1024
BULK = "x" * 2**20
HIDDEN = stat.S_IRWXG | stat.S_IRWXO
USUAL_UMASK = 0o022


@clause_test("DU-1", kept=families(), removed=sessions(identity="carol"), named=changes())
async def test_everything_acknowledged_outlives_its_handle(
    context: TestContext, kept: list[SessionData], removed: SessionData, named: dict[str, Any]
) -> None:
    removed = removed.model_copy(update={"session_id": f"{removed.session_id} removed"})
    first = await _open(context)
    for session in [*kept, removed]:
        await first.create_session(session)
    await first.update_session(kept[0].identity, kept[0].session_id, named)
    await first.remove_session(removed.identity, removed.session_id)
    await first.disconnect()
    second = await _open(context)
    expected = [kept[0].model_copy(update=named), *kept[1:]]
    await assert_shows(
        context, second, expected, [removed], when="after a new open", should="show all that was acknowledged"
    )
    await second.disconnect()


@clause_test("DU-1", at_most=2, cleared=families(min_size=2))
async def test_a_clearance_outlives_its_handle(context: TestContext, cleared: list[SessionData]) -> None:
    if not context.store_is_ours:
        return context.leave_out("clear_all: the store may hold others' data")
    first = await _open(context)
    for session in cleared:
        await first.create_session(session)
    await first.clear_all()
    await first.disconnect()
    second = await _open(context)
    await assert_shows(context, second, [], cleared, when="after a new open", should="show nothing: all was cleared")
    await second.disconnect()
    return None


@clause_test("DU-1", waits=True, at_most=2, session=sessions())
async def test_what_was_created_anew_outlives_its_handle(context: TestContext, session: SessionData) -> None:
    ttl = context.ttl(60)
    names = "after a removal", "after its TTL"
    removed, expired = (session.model_copy(update={"session_id": context.session_id(name)}) for name in names)
    first = await _open(context)
    await first.create_session(removed)
    await first.remove_session(removed.identity, removed.session_id)
    await first.create_session(expired, ttl)
    await context.pass_time(ttl + ROUNDING)
    await first.create_session(expired)
    await first.create_session(removed)
    await first.disconnect()
    second = await _open(context)
    should = "show what was created anew"
    await assert_shows(context, second, [removed, expired], when="after a new open", should=should)
    await second.disconnect()


@clause_test("DU-1", waits=True, short=sessions(), long=sessions())
async def test_every_expiry_outlives_its_handle(context: TestContext, short: SessionData, long: SessionData) -> None:
    renewed = long.model_copy(update={"session_id": f"{long.session_id}3"})
    long = long.model_copy(update={"session_id": f"{long.session_id}2"})
    ttl = context.ttl(300.5)
    first = await _open(context)
    await first.create_session(short, ttl=ttl)
    await first.create_session(long)
    await first.create_session(renewed, ttl=ttl)
    await first.update_session(long.identity, long.session_id, {}, ttl=100 * ttl)
    await first.update_session(renewed.identity, renewed.session_id, {})
    await first.disconnect()
    await context.pass_time(ttl + 1)
    second = await _open(context)
    when = f"after a new open {ttl + 1:.12g} s later"
    await assert_shows(
        context, second, [long, renewed], [short], when=when, should="end each session at its own time, and not before"
    )
    await second.disconnect()


@clause_test("DU-2", at_most=1, kept=families(min_size=4, max_size=6))
async def test_everything_acknowledged_outlives_its_process(context: TestContext, kept: list[SessionData]) -> None:
    async with context.another_store(will_be_killed=True) as harness:
        for number in range(context.tier.kills):
            rng = random.Random(f"{context.seed} {number}")
            plan = creates_and_removals(kept, rng)
            await assert_survives_a_kill(context, harness, kept, plan, rng, callers=1 + 3 * (number % 2))


@clause_test("DU-3", at_most=1, kept=families(min_size=3, max_size=4))
async def test_a_write_cut_off_half_way_leaves_old_or_new(context: TestContext, kept: list[SessionData]) -> None:
    # No update of the plan names server_id, so the store stays large and a write of it is slow.
    large = [session.model_copy(update={"tokens": {"access_token": LARGE}, "server_id": BULK}) for session in kept]
    async with context.another_store(will_be_killed=True) as harness:
        for number in range(context.tier.kills):
            rng = random.Random(f"{context.seed} {number}")
            plan = large_updates(large, rng)
            await assert_survives_a_kill(context, harness, large, plan, rng, callers=1 + 3 * (number % 2))


@clause_test("DU-4", at_most=2, kept=families(min_size=3))
async def test_a_damaged_store_is_refused_and_left_as_it_is(context: TestContext, kept: list[SessionData]) -> None:
    for damage in DAMAGES:
        async with context.another_store() as harness:
            files = await _filled(context, harness, kept)
            if not damage.concerns(files[0].read_bytes()):
                continue
            context.history.note(f"… {files[0].name} is {damage.what} …")
            damaged = inflict(damage, files)
            for _ in range(2):  # a service that failed is started again
                await _assert_refuses(context, harness, damage.what)
                _assert_left(damaged, damage.what)


@clause_test("DU-4", at_most=1, kept=families(min_size=3))
async def test_a_damaged_part_is_refused_or_costs_nothing(context: TestContext, kept: list[SessionData]) -> None:
    """Allow a store to ignore a damaged file: one of several may be a copy."""
    kept = [session.model_copy(update=FILLED) for session in kept]
    async with context.another_store() as harness:
        count = len(parts(await _filled(context, harness, kept)))
    for damage, number in product(DAMAGES, range(1, count)):
        async with context.another_store() as harness:
            part = parts(await _filled(context, harness, kept))[number]
            context.history.note(f"… {part.name} is {damage.what} …")
            damaged = inflict(damage, [part])
            got = await outcome_of(_open(context, harness))
            if isinstance(got, StorageSetupError):
                _assert_left(damaged, damage.what)
            elif isinstance(got, Exception):
                raise got
            else:
                when = f"after {part.name} was {damage.what}"
                await assert_shows(context, got, kept, when=when, should="refuse to open, or show what was stored")
                await got.disconnect()


@clause_test("DU-5", at_most=1, kept=families(min_size=2))
async def test_the_files_are_their_owners_alone(context: TestContext, kept: list[SessionData]) -> None:
    if os.name != "posix":
        raise NotMeasurable("this system has no POSIX permissions")
    with _umask(USUAL_UMASK):
        async with context.another_store() as harness:
            store = await _open(context, harness)
            for session in kept:
                await store.create_session(session)
                _assert_private(harness, "while it is written")
            await store.update_session(kept[0].identity, kept[0].session_id, {"tokens": {"access_token": LARGE}})
            await store.remove_session(kept[1].identity, kept[1].session_id)
            _assert_private(harness, "while it is open")
            await store.disconnect()
            _assert_private(harness, "after disconnect")
            store = await _open(context, harness)
            _assert_private(harness, "after a new open")
            if context.store_is_ours:
                await store.cleanup_expired_sessions()
                await store.clear_all()
                _assert_private(harness, "after clear_all")
            else:
                context.leave_out("clear_all, since the store may hold others' data")
            await store.disconnect()


async def _open(context: TestContext, harness: BackendHarness | None = None) -> RecordingBackend:
    return await context.open(*context.usual_keys, harness=harness)


async def _filled(context: TestContext, harness: BackendHarness, kept: Sequence[SessionData]) -> list[Path]:
    """Return the files of a store with these sessions and no open handle, the main one first."""
    store = await _open(context, harness)
    for session in kept:
        await store.create_session(session)
    await store.disconnect()
    files = list(harness.files())
    main_file(files)
    return files


async def _assert_refuses(context: TestContext, harness: BackendHarness, what: str) -> None:
    got = await outcome_of(_open(context, harness))
    if not isinstance(got, StorageSetupError):
        seen = describe(got) if isinstance(got, Exception) else "raised nothing"
        raise Violation(f"opening the store whose file was {what} {seen}", should="raise StorageSetupError")


def _assert_left(damaged: dict[Path, bytes], what: str) -> None:
    for path, content in damaged.items():
        if not path.is_file() or path.read_bytes() != content:
            raise Violation(
                f"opening the store whose file was {what} changed {path.name}",
                should="leave it as it is, so that it can be repaired",
            )


def _assert_private(harness: BackendHarness, when: str) -> None:
    """Assert that the store's files, and those next to the main one with its name, are readable by the owner alone."""
    files = list(harness.files())
    main = main_file(files)
    others = [path for path in main.parent.iterdir() if main.name in path.name]
    for path in {*files, *others}:
        if path.is_file() and (mode := stat.S_IMODE(path.stat().st_mode)) & HIDDEN:
            raise Violation(f"{when} {path.name} has the mode {mode:04o}", should="be 0600, side files included")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Set the umask that most systems have: a private one would hide what the store does not do itself."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
