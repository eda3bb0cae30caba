"""EN, MX · every path that a secret can take, observed: what the store holds during and after it, and what it says."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import opened, parse
from pytest_mcp_storage.canary.log_capture import LogCapture
from pytest_mcp_storage.canary.watcher import StoreWatcher
from pytest_mcp_storage.engine.clause_tests import clause_test
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.recording import History
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.generators import CREDENTIALS, sessions
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import short_repr
from pytest_mcp_storage.spec.harness import BackendHarness
from pytest_mcp_storage.workloads.paths import PATHS, SHARED_PATHS, Path
from pytest_mcp_storage.workloads.walk import Walk
from reference_backends import SessionData


@dataclass
class Observed:
    """What was found on all paths, in words, and the calls of the path on which it was found first."""

    exposed: str = ""
    repeated: str = ""
    plain: str = ""
    leak: str = ""
    paths: int = 0
    envelopes: int = 0
    history: dict[str, list[str]] = field(default_factory=dict)

    def assert_nothing(self, what: str, should: str) -> None:
        """Raise :class:`Violation` if ``what`` was found."""
        if seen := getattr(self, what):
            raise Violation(seen, should=should, history=self.history[what])

    def note(self, what: str, seen: str, history: History) -> None:
        """Keep the first finding of its kind."""
        if seen and not getattr(self, what):
            setattr(self, what, seen)
            self.history[what] = history.lines()


@clause_test("EN-1", at_most=1, session=sessions())
async def test_no_path_leaves_a_secret_in_the_store(context: TestContext, session: SessionData) -> None:
    (await observed(context, session)).assert_nothing("exposed", "hold no secret, in any encoding")


@clause_test("EN-3", at_most=1, session=sessions())
async def test_no_path_uses_an_iv_twice(context: TestContext, session: SessionData) -> None:
    (await observed(context, session)).assert_nothing("repeated", "use a fresh IV for every write")


@clause_test("MX-2", at_most=1, session=sessions())
async def test_every_path_seals_what_it_writes(context: TestContext, session: SessionData) -> None:
    (await observed(context, session)).assert_nothing("plain", "be sealed under a key of the store")


@clause_test("EN-10", at_most=1, session=sessions())
async def test_no_path_tells_a_secret(context: TestContext, session: SessionData) -> None:
    (await observed(context, session)).assert_nothing("leak", "show no secret and no key")


async def observed(context: TestContext, session: SessionData) -> Observed:
    """Walk every path once on each environment, and return what was found."""
    key = "paths"
    if key not in context.environment.shared:
        context.environment.shared[key] = await _walk_all(context, session)
    found: Observed = context.environment.shared[key]
    context.notes.append(f"observed on {found.paths} paths, with {found.envelopes} different envelopes in the store")
    return found


class Scene:
    """A store, its keys, the canaries that are planted in it, and the watch over it."""

    def __init__(self, context: TestContext, harness: BackendHarness) -> None:
        self.harness = harness
        self.canaries = Canaries()
        self.keys = [secrets.token_hex(32) for _ in range(2 if context.can(Capability.KEY) else 0)]
        for key in self.keys:
            self.canaries.guard_key(key, "an encryption key")
        self.watcher = StoreWatcher(harness.stored_bytes, self.canaries)
        self.can_look = context.can(Capability.AT_REST) and context.can(Capability.KEY)


async def _walk_all(context: TestContext, session: SessionData) -> Observed:
    """Walk each path on a new store; on a slow backend all of them on one, whose bytes are searched once."""
    found = Observed()
    can_share = context.can(Capability.SHARED) and context.can(Capability.KEY)
    paths = PATHS + (SHARED_PATHS if can_share else ())
    slow = context.environment.pace < 1
    for group in [paths] if slow else [(path,) for path in paths]:
        async with context.another_store() as harness:
            scene = Scene(context, harness)
            for path in group:
                context.begin()
                await _walk(context, scene, session, path, found)
            if scene.can_look:
                when = "at the end of all paths" if slow else f"at the end of the path of {group[0].__name__}"
                await scene.watcher.look(when)
                _note_watch(context, scene, found)
            found.envelopes += scene.watcher.envelopes
    return found


async def _walk(context: TestContext, scene: Scene, session: SessionData, path: Path, found: Observed) -> None:
    when = f"on the path of {path.__name__}"
    with LogCapture() as captured:
        handles = [
            await context.open(*scene.keys[:1], name=f"handle{number + 1}", harness=scene.harness)
            for number in range(2 if context.can(Capability.SHARED) else 1)
        ]
        walk = Walk(context, scene.harness, handles, scene.keys, session, scene.canaries, captured)
        if scene.can_look:
            async with scene.watcher.watching(when):
                await path(walk)
            found.note("plain", await _in_clear(walk, when), context.history)
            _note_watch(context, scene, found)
        else:
            await path(walk)
        for handle in handles:
            captured.take(f"the handle {when}", handle.backend)
            await walk.call("disconnect", handle.disconnect)
    found.paths += 1
    leak = captured.leak(scene.canaries)
    found.note("leak", leak and f"{when} {leak}", context.history)


def _note_watch(context: TestContext, scene: Scene, found: Observed) -> None:
    found.note("exposed", scene.watcher.exposed, context.history)
    found.note("repeated", scene.watcher.repeated, context.history)


async def _in_clear(walk: Walk, when: str) -> str:
    """Describe a stored secret that is not an envelope under a key of the store; return an empty text if all are."""
    for session in walk.sealed:
        try:
            stored = await walk.harness.stored_fields(session.identity, session.session_id)
        except LookupError:
            continue
        for name in CREDENTIALS:
            value = stored.get(name)
            envelope = parse(value)
            if value is not None and not (envelope and any(opened(envelope, key) is not None for key in walk.keys)):
                return f"{when} {name} are stored as {short_repr(value, 120)}"
    return ""
