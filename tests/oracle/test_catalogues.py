"""The catalogues hold values that every store must take, each once, and the design brings each to every place."""

from __future__ import annotations

from collections import defaultdict

import pytest

from pytest_mcp_storage.oracle.edge_cases import FILLED, TEXT_FIELDS
from pytest_mcp_storage.oracle.name_catalogue import BARE_NAMES, JOINED, NAMES, RISKY_NAMES
from pytest_mcp_storage.oracle.value_catalogue import ALL_MOMENTS, CLIENT_SECRETS, OBJECTS, TEXTS
from pytest_mcp_storage.suite.test_mcp_values import PLACES, rows
from reference_backends import SessionData


@pytest.mark.parametrize("name", [*BARE_NAMES, *(part for pair in JOINED for part in pair)])
def test_a_session_can_have_every_name(name: str) -> None:
    session = SessionData(identity=name, session_id=name, **FILLED)
    assert (session.identity, session.session_id) == (name, name)


def test_names_are_bare_and_different() -> None:
    assert len(set(BARE_NAMES)) == len(BARE_NAMES) >= 300
    assert set(RISKY_NAMES) < set(BARE_NAMES)
    assert all(names for names in NAMES.values())
    assert len(set(JOINED)) == len(JOINED)


@pytest.mark.parametrize("number", range(len(OBJECTS)))
def test_a_session_can_hold_every_object(number: int) -> None:
    SessionData(identity="a", session_id="b", **{**FILLED, "tokens": OBJECTS[number]})


def test_a_session_can_hold_every_text_moment_and_client_secret() -> None:
    for text in TEXTS:
        SessionData(identity="a", session_id="b", **{**FILLED, "server_name": text, "headers": {text: text}})
    for moment in ALL_MOMENTS:
        assert SessionData(identity="a", session_id="b", **{**FILLED, "created_at": moment}).created_at == moment
    for secret in CLIENT_SECRETS:
        SessionData(identity="a", session_id="b", **{**FILLED, "client_information": {"client_secret": secret}})


def test_every_entry_comes_to_every_place() -> None:
    texts: defaultdict[str, set[str]] = defaultdict(set)
    objects: defaultdict[str, list[object]] = defaultdict(list)
    for fields in rows():
        SessionData(identity="a", session_id="b", **{**FILLED, **fields})
        for field in TEXT_FIELDS:
            texts[field].add(fields[field])
        for text in fields["headers"]:
            texts["headers"].add(text)
        objects["tokens"].append(fields["tokens"])
    assert all(set(TEXTS) <= seen | {t for t in TEXTS if t.startswith("enc:")} for seen in texts.values())
    held = [each for tokens in objects["tokens"] for each in (tokens, *tokens.get("in", []))]
    assert all(each in held for each in OBJECTS)


def test_opposite_places_differ_in_every_property() -> None:
    for one, other in zip(PLACES, reversed(PLACES), strict=True):
        assert all(mine is not its for mine, its in zip(one, other, strict=True))
