"""Simpler variants of a sequence of calls: shorter names, fewer fields, plainer values, round times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_mcp_storage.engine.recording import HandleOptions
from pytest_mcp_storage.oracle.scenario import PASS, Scenario, Step
from reference_backends import SessionData

IDENTITIES = ("alice", "bob", "carol", "dave")
SESSION_IDS = ("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8")
REQUIRED = {
    "server_url": "https://mcp.example",
    "transport_type": "sse",
    "callback_url": "https://app.example/callback",
    "created_at": 0,
}
OPTIONAL = tuple(name for name in SessionData.model_fields if name not in (*REQUIRED, "identity", "session_id"))
SHORT = 12
"""Characters; shorter texts are not shortened."""


def bold(scenario: Scenario) -> Iterator[Scenario]:
    """Yield scenarios that are simpler throughout in one respect."""
    yield from _plain_sessions(scenario)
    yield from _short_names(scenario)
    yield from _one_handle(scenario)
    yield from _round_times(scenario)


def fine(scenario: Scenario) -> Iterator[Scenario]:
    """Yield scenarios in which one argument of one step is simpler."""
    for place, step in enumerate(scenario.steps):
        for simple in _simpler_step(step):
            yield scenario.with_step(place, simple)


def _one_handle(scenario: Scenario) -> Iterator[Scenario]:
    names = list(dict.fromkeys(step.handle for step in scenario.steps if step.handle))
    for name in names:
        steps = tuple(replace(step, handle="store") if step.handle else step for step in scenario.steps)
        handles = {"store": scenario.handles.get(name, HandleOptions())}
        one = replace(scenario, steps=steps, handles=handles)
        if one.steps != scenario.steps or scenario.handles.get("store") != handles["store"]:
            yield one
    for name, opened in scenario.handles.items():
        if opened.keys or opened.default_ttl is not None:
            yield _without_options(scenario, name)


def _without_options(scenario: Scenario, name: str) -> Scenario:
    """Return the scenario with that handle opened without options, and named for it: ``store_of_2_keys`` has none."""
    plain = "keyless" if scenario.handles[name].keys and "keyless" not in scenario.handles else name
    steps = tuple(replace(step, handle=plain) if step.handle == name else step for step in scenario.steps)
    others = {each: opened for each, opened in scenario.handles.items() if each != name}
    return replace(scenario, steps=steps, handles={**others, plain: HandleOptions()})


def _plain_sessions(scenario: Scenario) -> Iterator[Scenario]:
    def plain(step: Step) -> Step:
        if not (step.arguments and isinstance(step.arguments[0], SessionData)):
            return step
        session = step.arguments[0]
        simple = session.model_copy(update={**dict.fromkeys(OPTIONAL), **REQUIRED})
        return replace(step, arguments=(simple,))

    yield replace(scenario, steps=tuple(map(plain, scenario.steps)))


def _short_names(scenario: Scenario) -> Iterator[Scenario]:
    identities, session_ids = _names(scenario)
    new = dict(zip(identities, IDENTITIES, strict=False)), dict(zip(session_ids, SESSION_IDS, strict=False))
    yield _renamed(scenario, *new)
    for name, short in new[0].items():
        if short not in identities:
            yield _renamed(scenario, {name: short}, {})
    for name, short in new[1].items():
        if short not in session_ids:
            yield _renamed(scenario, {}, {name: short})


def _names(scenario: Scenario) -> tuple[list[str], list[str]]:
    """Return the identities and the session ids that are well-formed texts, in the order of their first use."""
    found: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for step in scenario.steps:
        first = step.arguments[0] if step.arguments else None
        pair = (first.identity, first.session_id) if isinstance(first, SessionData) else step.arguments[:2]
        for names, name in zip(found, pair, strict=False):
            if isinstance(name, str) and 0 < len(name) < 256:
                names[name] = None
    return list(found[0]), list(found[1])


def _renamed(scenario: Scenario, identities: dict[str, str], session_ids: dict[str, str]) -> Scenario:
    def rename(step: Step) -> Step:
        first = step.arguments[0] if step.arguments else None
        if isinstance(first, SessionData):
            names = {
                "identity": identities.get(first.identity, first.identity),
                "session_id": session_ids.get(first.session_id, first.session_id),
            }
            return replace(step, arguments=(first.model_copy(update=names),))
        pair = zip((identities, session_ids), step.arguments, strict=False)
        found = [names.get(name, name) if isinstance(name, str) else name for names, name in pair]
        return replace(step, arguments=(*found, *step.arguments[2:]))

    kept = frozenset(name for name in scenario.literal if name not in identities and name not in session_ids)
    return replace(scenario, steps=tuple(map(rename, scenario.steps)), literal=kept)


def _round_times(scenario: Scenario) -> Iterator[Scenario]:
    passing = [step for step in scenario.steps if step.method == PASS]
    if passing:
        yield replace(scenario, steps=tuple(_timed(step, 1, 2) for step in scenario.steps))
        yield _passing_once(scenario)
    for place, step in enumerate(scenario.steps):
        if step.method == PASS:
            for seconds in (1.0, 2.0, float(math.ceil(step.seconds))):
                if seconds < step.seconds or step.seconds != int(step.seconds):
                    yield scenario.with_step(place, replace(step, seconds=seconds))


def _passing_once(scenario: Scenario) -> Scenario:
    """Return the scenario in which time passes once, before the last call."""
    calls = [step for step in scenario.steps if step.method != PASS]
    seconds = sum(step.seconds for step in scenario.steps)
    return replace(scenario, steps=(*calls[:-1], Step("", PASS, seconds=min(seconds, 2.0)), *calls[-1:]))


def _timed(step: Step, ttl: int, seconds: float) -> Step:
    if step.method == PASS:
        return replace(step, seconds=float(seconds))
    return step if step.ttl is None else replace(step, ttl=ttl)


def _simpler_step(step: Step) -> Iterator[Step]:
    if step.ttl is not None:
        yield replace(step, ttl=None)
        if isinstance(step.ttl, float) and math.isfinite(step.ttl) and step.ttl > 1:
            yield replace(step, ttl=int(step.ttl))
    first = step.arguments[0] if step.arguments else None
    if isinstance(first, SessionData):
        for name in OPTIONAL:
            if getattr(first, name) is not None:
                yield replace(step, arguments=(first.model_copy(update={name: None}),))
        for name, plain in REQUIRED.items():
            if getattr(first, name) != plain:
                yield replace(step, arguments=(first.model_copy(update={name: plain}),))
        for name in OPTIONAL:
            for value in _simpler_value(getattr(first, name)):
                yield replace(step, arguments=(first.model_copy(update={name: value}),))
    elif step.method == "update_session" and isinstance(step.arguments[2], dict):
        for changes in _simpler_value(step.arguments[2]):
            yield replace(step, arguments=(*step.arguments[:2], changes))


def _simpler_value(value: Any) -> Iterator[Any]:
    """Yield smaller JSON values: with fewer items, shorter texts, or simpler parts."""
    if isinstance(value, dict):
        keys = list(value)
        for part in _halves(keys):
            yield {key: value[key] for key in part}
        for key in keys:
            for inner in _simpler_value(value[key]):
                yield {**value, key: inner}
    elif isinstance(value, list):
        yield from _halves(value)
        for place, item in enumerate(value):
            for inner in _simpler_value(item):
                yield [*value[:place], inner, *value[place + 1 :]]
    elif isinstance(value, str) and len(value) > SHORT:
        yield value[:1]
        yield value[: len(value) // 2]
        yield value[len(value) // 2 :]
        yield value[:-1]


def _halves(items: list[Any]) -> Iterator[list[Any]]:
    """Yield the list without each of its parts: the halves, then single items."""
    if len(items) > 3:
        half = len(items) // 2
        yield items[half:]
        yield items[:half]
    for place in range(len(items)):
        yield [*items[:place], *items[place + 1 :]]
