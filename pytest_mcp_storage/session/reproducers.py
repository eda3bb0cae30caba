"""Write a failure as a test file that needs pytest and the store, but not the suite's tests or Hypothesis."""

from __future__ import annotations

import os
import pprint
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mcp_storage.report.model import Report
from pytest_mcp_storage.spec.clauses import Clause
from pytest_mcp_storage.spec.outcome import Outcome
from reference_backends import InvalidSessionError
from reference_backends.core.validation import check_names

PASS = "pass_time"  # noqa: S105
SESSION = "$session"
NUMBER = "$number"
TEMPLATE = '''\
"""{statement}

{seen}

Written by pytest-mcp-storage from a failing run. It fails until the store is fixed:

    pytest {file}
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent / {folder!r}))

from pytest_mcp_storage import Capability
from pytest_mcp_storage.session.backends import resolve
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import *  # noqa: F403
from reference_backends import SessionData

BACKEND = {backend!r}


class Clock:
    """Moves only when the test moves it."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


async def calls():
    async with resolve(BACKEND, Path(__file__).resolve().parent / {folder!r})() as harness:
        clock = Clock() if Capability.CLOCK in harness.capabilities else None
        clock_option = {{"clock": clock}} if clock else {{}}

        async def pass_time(seconds):
            if clock:
                clock.now += seconds
            else:
                await asyncio.sleep(seconds)

        handles = {{}}

        async def handle(name, **options):
            if name not in handles:
                if Capability.SHARED not in harness.capabilities:
                    for other in handles.values():
                        await other.disconnect()
                handles[name] = await harness.open(**options, **clock_option)
            return handles[name]

        try:
{body}
        finally:
            for opened in handles.values():
                await opened.disconnect()


def test_{name}():
    asyncio.run(calls())
'''


def add_reproducers(report: Report, clauses: Mapping[str, Clause], folder: Path | None, invoked_in: Path) -> None:
    """Add a stand-alone test to each failure that a replay has confirmed. If ``folder`` is given, write it there too.

    Without a folder, the test is to be saved in the folder that pytest was started in.
    """
    for backend in report.backends:
        for row in backend.clauses:
            if row.outcome in (Outcome.FAILED, Outcome.DEVIATION) and row.scenario:
                file = f"test_{_slug(f'{backend.name}_{row.id}')}.py"
                above = os.path.relpath(invoked_in, folder) if folder else "."
                row.stand_alone = source(backend.name, clauses[row.id], row.message, row.scenario, file, above)
                if folder:
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / file).write_text(row.stand_alone, encoding="utf-8")
                    row.reproducer = os.path.relpath(folder / file, invoked_in)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower()


def source(backend: str, clause: Clause, seen: str, scenario: Mapping[str, Any], file: str, folder: str) -> str:
    """Return the text of the test file."""
    lines = [line for place in range(len(scenario["steps"])) for line in _step(scenario, place, clause.id)]
    return TEMPLATE.format(
        statement=_quoted(f"{clause.id}: {clause.statement}"),
        seen=_quoted(f"Seen: {seen}"),
        file=file,
        folder=folder,
        backend=backend,
        body="\n".join(f"            {line}" for line in lines),
        name=_slug(clause.id),
    )


def _quoted(text: str) -> str:
    """Return text as lines of a docstring."""
    return textwrap.fill(text, 100, break_long_words=False).replace("\\", "\\\\").replace('"""', "'''")


def _step(scenario: Mapping[str, Any], place: int, clause: str) -> list[str]:
    step, finding = scenario["steps"][place], scenario["finding"]
    if step["method"] == PASS:
        return [f"await pass_time({step['seconds']!r})"]
    opened = scenario["handles"].get(step["handle"], {})
    keys = list(opened.get("keys") or ())
    options = [repr(step["handle"])]
    if keys:
        options.append(f"encryption_key={(keys[0] if len(keys) == 1 else keys)!r}")
    if opened.get("default_ttl") is not None:
        options.append(f"default_ttl={opened['default_ttl']!r}")
    given = [_value(each) for each in step["arguments"]]
    given += [] if step["ttl"] is None else [f"ttl={_value(step['ttl'])}"]
    before = [each["handle"] for each in scenario["steps"][:place] if each["handle"]]
    lines = [] if before[-1:] == [step["handle"]] else [f"store = await handle({', '.join(options)})"]
    call = f"await store.{step['method']}({', '.join(given)})"
    if place != finding["place"]:
        may_be_refused = step["method"] != "create_session" and _is_invalid(step)
        refused = place in dict(finding.get("raised", ())) or may_be_refused
        return [*lines, "with contextlib.suppress(Exception):", f"    {call}"] if refused else [*lines, call]
    return [
        *lines,
        f"# {clause}: this call must {_expectation(finding['expected'])}.",
        *_asserted(call, finding["expected"], _is_invalid(step)),
    ]


def _expectation(expected: Mapping[str, Any]) -> str:
    match expected:
        case {"raises": name}:
            return f"raise {name}"
        case {"returns": None} | {"session": None}:
            return "return None"
        case {"session": _}:
            return "return the session as it was written"
    return "list each live session once, and no other"


def _asserted(call: str, expected: Mapping[str, Any], refusable: bool) -> list[str]:
    match expected:
        case {"raises": name}:
            return [f"with pytest.raises({name}):", f"    {call}"]
        case {"session": None} if refusable:
            return [
                "returned = None",
                "with contextlib.suppress(InvalidSessionError):",
                f"    returned = {call}",
                "assert returned is None",
            ]
        case {"returns": None} | {"session": None}:
            return [f"assert {call} is None"]
        case {"session": fields}:
            return [f"expected = {_session(fields)}", f'assert difference({call}, expected) == ""']
        case {"sessions": sessions}:
            listed = ", ".join(map(_session, sessions))
            return [
                f"expected = {{each.session_id: each for each in [{listed}]}}",
                f"listed = {call}",
                "assert isinstance(listed, list)",
                "assert sorted(each.session_id for each in listed) == sorted(expected)",
                'assert [difference(each, expected[each.session_id]) for each in listed] == [""] * len(listed)',
            ]
        case {"ids": ids}:
            return [f"ids = {call}", "assert isinstance(ids, list)", f"assert sorted(ids) == {sorted(ids)!r}"]
        case {"among": ids, "not": gone}:
            return [
                f"ids = {call}",
                "assert isinstance(ids, list)",
                *(f"assert ids.count({each!r}) == {ids.count(each)}" for each in dict.fromkeys(ids)),
                *(f"assert {each!r} not in ids" for each in gone),
            ]
    return [f"assert {call} == {expected!r}"]


def _is_invalid(step: Mapping[str, Any]) -> bool:
    """Say whether the call has a name that a store may refuse."""
    try:
        check_names(*[*step["arguments"][:2], "s", "s"][:2])
    except InvalidSessionError:
        return True
    return False


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {SESSION}:
        return _session(value[SESSION])
    if isinstance(value, dict) and set(value) == {NUMBER}:
        return f"float({value[NUMBER]!r})"
    return pprint.pformat(value, width=1_000_000)


def _session(fields: Mapping[str, Any]) -> str:
    return f"SessionData({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
