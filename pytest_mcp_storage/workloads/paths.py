"""The paths on which a store writes secrets, each walked with canaries: conflicts, faults, sizes, ttls, keys.

Each path is a function of a :class:`Walk`. A path only makes calls; the suite observes the store and what it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.timeouts import in_time
from pytest_mcp_storage.engine.violation import outcome_of
from pytest_mcp_storage.oracle.edge_cases import EMPTY
from pytest_mcp_storage.oracle.generators import ABSENT
from pytest_mcp_storage.oracle.name_catalogue import RISKY_NAMES
from pytest_mcp_storage.oracle.store_model import ROUNDING
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.workloads.walk import Walk, named

CALLERS = 5
STEPS = 8
"""How many turns of the event loop a call gets at most before it is cancelled or cut off."""


async def conflicts(walk: Walk) -> None:
    """Update one session by several callers at once; then create, update and remove at once."""
    for number in range(3):
        session = await walk.create("a session that is updated at once")
        secret = [walk.update(session, walk.secrets("an update at once"), by=n) for n in range(CALLERS)]
        other = [walk.update(session, {"server_name": f"{n}"}, 9_000 if n % 2 else None, by=n) for n in range(3)]
        await asyncio.gather(*secret[:number], *other, *secret[number:])
    session = walk.session("a session that is created at once")
    rivals = [session.model_copy(update=walk.secrets("a create at once")) for _ in range(CALLERS)]
    creates = [
        walk.call("a create at once", walk.handles[n % len(walk.handles)].create_session, each)
        for n, each in enumerate(rivals)
    ]
    await asyncio.gather(*creates, walk.update(session, walk.secrets("an update during creates")))
    removal = walk.call("a removal", walk.store.remove_session, *named(session))
    await asyncio.gather(
        walk.update(session, walk.secrets("an update during a removal")),
        removal,
        walk.update(session, {}, by=1),
    )


async def touches(walk: Walk) -> None:
    """Update with a ttl and without: no field, other fields, fields that are revoked, one secret of the two."""
    for ttl in UPDATE_TTLS:
        session = await walk.create("a session that is renewed")
        for changes in ({}, {"server_name": "n"}, {"server_id": None}, {"active": None, "created_at": 1}):
            await walk.update(session, changes, ttl)
        for field in ("tokens", "headers"):
            new = walk.secrets(f"an update of {field}")[field]
            await walk.update(session, {field: new}, ttl)
            await walk.update(session, {"client_id": None}, ttl)
            await walk.update(session, {field: None}, ttl)
            await walk.update(session, {"server_name": None, field: new}, ttl)
        await walk.read(session)
    bare = await walk.create("a session of secrets alone", **{k: v for k, v in ABSENT.items() if k not in SECRETS})
    await walk.update(bare, {})


async def sizes(walk: Walk) -> None:
    """Create and update with large secrets, with many, and with secrets at some depth."""
    for size in SIZES[: 2 if walk.context.tier.name == "smoke" else None]:
        session = await walk.create("a large session", **walk.secrets(f"a session of {size} characters", size))
        await walk.update(session, {"server_name": "n"})
        await walk.update(session, walk.secrets(f"an update of {size} characters", size), 9_000)
        await walk.read(session)
        await walk.call("a removal", walk.store.remove_session, *named(session))
    many = {f"k{n}": walk.canaries.secret("one of many tokens") if n % 100 == 0 else n for n in range(1_201)}
    session = await walk.create("a session of many tokens", tokens=many)
    await walk.update(session, {"headers": {f"h{n}": f"{n}" for n in range(1_201)}, "tokens": many})
    deep: Any = walk.canaries.secret("a secret at a depth")
    for _ in range(40):
        deep = {"in": [deep]}
    await walk.create("a session of depth", tokens={"in": deep})


async def refusals(walk: Walk) -> None:
    """Send secrets in calls that are refused."""
    session = await walk.create("a session that exists")
    again = session.model_copy(update=walk.secrets("a refused create"))
    await walk.call("a refused create", walk.store.create_session, again)
    await walk.call("a create with a bad ttl", walk.store.create_session, walk.session("a bad create"), -1)
    for changes in ({"created_at": -1}, {"no_such_field": 1}, {"server_url": None}, {"session_id": "other"}):
        await walk.update(session, {**walk.secrets("a refused update"), **changes})
    await walk.update(session, walk.secrets("an update with a bad ttl"), float("nan"))
    await walk.update(walk.session("a session that is missing"), walk.secrets("an update of a missing session"))
    stranger = session.model_copy(update={"identity": walk.context.identity("stranger")})
    await walk.update(stranger, walk.secrets("a stranger's update"))


async def endings(walk: Walk) -> None:
    """Let sessions end by a removal, by expiry and by a clearance; create them again."""
    context = walk.context
    session = await walk.create("a removed session")
    await walk.call("a removal", walk.store.remove_session, *named(session))
    await walk.call("a new create", walk.store.create_session, session.model_copy(update=walk.secrets("a new create")))
    if context.can(Capability.CLOCK):
        brief, renewed = walk.session("an expired session"), walk.session("a renewed session")
        for each in brief, renewed:
            await walk.call("a create", walk.store.create_session, each, 60)
        await walk.update(renewed, {}, 9_000)
        await context.pass_time(60 + ROUNDING)
        await walk.update(brief, walk.secrets("an update that is too late"))
        await walk.read(brief)
        if context.store_is_ours:
            await walk.call("a cleanup", walk.store.cleanup_expired_sessions)
        await walk.call("a create", walk.store.create_session, brief.model_copy(update=walk.secrets("a create anew")))
    if context.store_is_ours:
        await walk.call("clear_all", walk.store.clear_all)
    await walk.call("a create", walk.store.create_session, session.model_copy(update=walk.secrets("a create at last")))


async def reopenings(walk: Walk) -> None:
    """Write after ``disconnect`` and ``init``, and after a second ``init``."""
    for handle in walk.handles:
        await walk.call("disconnect", handle.disconnect)
        await walk.call("a second disconnect", handle.disconnect)
    for number, handle in enumerate(walk.handles):
        for _ in range(2):
            await walk.call("init", handle.init)
            session = walk.session("a session after init")
            await walk.call("a create", handle.create_session, session)
            await walk.update(session, walk.secrets("an update after init"), by=number)
            await walk.update(session, {}, 9_000, by=number)


async def cancellations(walk: Walk) -> None:
    """Cancel creates, updates and removals after each of their first steps, and go on."""
    session = await walk.create("a session whose updates are cancelled")
    for turns in range(STEPS):
        new = walk.session("a cancelled create")
        for method, *arguments in (
            (walk.store.update_session, *named(session), walk.secrets("a cancelled update")),
            (walk.store.create_session, new),
            (walk.store.update_session, *named(session), {}, 9_000),
            (walk.store.remove_session, *named(new)),
        ):
            task: asyncio.Future[Any] = asyncio.ensure_future(outcome_of(method(*arguments)))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            walk.context.cancelled_a_call(f"{method.__name__} was cancelled")
            with suppress(asyncio.CancelledError):
                await in_time("a cancelled call", lambda task=task: task, limit=walk.harness.time_limit)
    await walk.update(session, walk.secrets("an update after cancelled ones"))


async def outages(walk: Walk) -> None:
    """Write in an outage, in one that begins during a call, and while answers are lost; then go on."""
    faults = [walk.harness.outage] if walk.context.can(Capability.OUTAGE) else []
    faults += [walk.harness.lost_answer] if walk.context.can(Capability.LOST_ANSWER) else []
    for fault in faults:
        session = await walk.create("a session before a fault")
        for turns in (0, 2, 4):
            new = walk.session("a create in a fault")
            calls: tuple[tuple[Any, ...], ...] = (
                (walk.store.create_session, new),
                (walk.store.update_session, *named(session), walk.secrets("an update in a fault")),
                (walk.store.update_session, *named(session), {}, 9_000),
                (walk.store.get_session, *named(session)),
            )
            tasks = [asyncio.ensure_future(walk.call("a call in a fault", *call)) for call in calls]
            for _ in range(turns):
                await asyncio.sleep(0)
            async with fault():
                await asyncio.gather(*tasks)
            await walk.update(session, walk.secrets("an update after a fault"))
            await walk.read(session)


async def rotations(walk: Walk) -> None:
    """Read, renew and update sessions of an older key by a handle with a newer one."""
    context = walk.context
    sessions = [await walk.create("a session of the older key") for _ in range(4)]
    opened = await outcome_of(context.open(*reversed(walk.keys), name="rotated", harness=walk.harness))
    if not isinstance(opened, RecordingBackend):
        return
    rotated = Walk(context, walk.harness, [opened], walk.keys, walk.template, walk.canaries, walk.captured)
    for session, changes in zip(sessions, ({}, {"server_name": "n"}, rotated.secrets("a new key"), None), strict=True):
        await rotated.read(session)
        for ttl in (None, 9_000):
            if changes is not None:
                await rotated.update(session, changes, ttl)
    await rotated.call("disconnect", opened.disconnect)


async def mixtures(walk: Walk) -> None:
    """Write secrets under a key into sessions that a handle without one has written, and write without one again."""
    context = walk.context
    clear = await outcome_of(context.open(name="keyless", harness=walk.harness))
    if not isinstance(clear, RecordingBackend):
        return
    plain = {"tokens": {"access_token": "clear"}, "headers": {"x": "clear"}}
    for ttl in (None, 9_000):
        session = walk.session("a session that was in clear", **plain)
        await walk.call("a create without a key", clear.create_session, session)
        await walk.update(session, walk.secrets("an update of a session in clear"), ttl)
        await walk.call("an update without a key", clear.update_session, *named(session), {"server_name": "n"}, ttl)
        await walk.call("a read without a key", clear.get_session, *named(session))
        await walk.update(session, {"server_name": "m"}, ttl)
    await walk.call("disconnect", clear.disconnect)


async def positions(walk: Walk) -> None:
    """Write secrets in every position: under any name, as names, in lists, alone, and next to empty objects."""

    def secret() -> str:
        return walk.canaries.secret("a secret in some position")

    names = "accessToken", "api_key", "password", "value", "0", "", "é", "$ref", "__proto__", "a.b", "expires_in"
    everywhere: tuple[dict[str, Any], ...] = (
        {"tokens": {secret(): 1, "in": {secret(): None}}, "headers": {secret(): "v"}},
        {"tokens": {name: secret() for name in names}, "headers": {name or "x": secret() for name in names}},
        {"tokens": {"a": [secret(), [secret(), {"b": [[secret()]]}]]}, "headers": {}},
        {"tokens": {}, "headers": {"Authorization": secret()}},
        {"tokens": {"access_token": secret()}, "headers": None},
        {"tokens": None, "headers": {"x": f"{secret()}, {secret()};{secret()}"}},
        {"tokens": {"text": f'{{"access_token": "{secret()}"}}', "url": f"https://a.example/?t={secret()}#x"}},
    )
    for changes in everywhere:
        session = await walk.create("a session", **changes)
        await walk.update(session, {"server_name": "n"}, 9_000)
        other = await walk.create("a session", **EMPTY)
        await walk.update(other, {field: value for field, value in changes.items() if value is not None})
        await walk.read(session)


async def odd_names(walk: Walk) -> None:
    """Write secrets under names of every kind, the longest ones too."""
    for number, name in enumerate((*RISKY_NAMES[::8], "é" * 255, "👩" * 255, "a" * 255)):
        session = walk.session("a session of an odd name", identity=f"{name[:250]}{number}", session_id=name)
        await walk.call("a create", walk.store.create_session, session)
        await walk.update(session, walk.secrets("an update under an odd name"), None if number % 2 else 9_000)
        await walk.update(session, {"active": None})
    await walk.read(session)


async def listings(walk: Walk) -> None:
    """Read many sessions again and again, by every listing."""
    for number in range(MANY):
        await walk.call(
            "a create", walk.store.create_session, walk.session("one of many sessions", server_id=f"{number}")
        )
    for handle in [*walk.handles, *walk.handles]:
        await walk.call("a listing", handle.get_identity_sessions_data, walk.template.identity)
        await walk.call("a listing of ids", handle.get_identity_mcp_sessions, walk.template.identity)
        if walk.context.store_is_ours:
            await walk.call("all ids", handle.get_all_session_ids)
    if walk.context.store_is_ours:
        await walk.call("a cleanup", walk.store.cleanup_expired_sessions)
    for session in walk.sealed[::8]:
        await walk.update(session, {"server_name": "n"}, 9_000)
        await walk.read(session)


SECRETS = ("tokens", "headers")
MANY = 24
UPDATE_TTLS = (None, 9_000, 9_000.5, 40 * 86_400)
"""Seconds; the last is beyond memcached's month."""
SIZES = (40_000, 250_000, 1_100_000)
"""Characters."""

Path = Callable[[Walk], Awaitable[None]]
PATHS: tuple[Path, ...] = (conflicts, touches, sizes, refusals, endings, reopenings, cancellations, outages, positions,
                           odd_names, listings)  # fmt: skip
SHARED_PATHS: tuple[Path, ...] = (rotations, mixtures)
"""Paths that need a second handle with other keys."""
