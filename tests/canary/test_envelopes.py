"""The suite reads envelopes by itself: upstream's envelopes, and a reason for each that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mcp_storage.canary.envelopes import Envelope, flaw, opened, parse, seal
from pytest_mcp_storage.canary.tampering import KINDS, Tampering, near_misses
from reference_backends import DecryptionError, Keyring

KEY, OTHER_KEY = "0123456789abcdef" * 4, "f" * 64
ANSWERS = json.loads(
    (Path(__file__).parents[1] / "reference_backends" / "core" / "upstream_envelopes.json").read_text()
)
GOOD = [answer for answer in ANSWERS["vectors"] if len(answer["key"]) == 64]
VALUE = {"access_token": "t"}
ENVELOPE = seal(json.dumps(VALUE).encode(), KEY)


@pytest.mark.parametrize("answer", GOOD, ids=[answer["name"] for answer in GOOD])
def test_what_upstream_sealed_is_without_flaw(answer: dict[str, Any]) -> None:
    assert flaw(answer["envelope"], answer["plaintext"], answer["key"]) == ""


def test_what_the_bundled_stores_seal_is_without_flaw() -> None:
    assert flaw(Keyring(KEY).seal(VALUE), VALUE, KEY) == ""
    assert Keyring(KEY).open(str(ENVELOPE)) == VALUE


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (VALUE, "which is not enc:1:"),
        (str(ENVELOPE).upper(), "which is not enc:1:"),
        (str(seal(b"{}", OTHER_KEY)), "does not open"),
        (str(seal(b"{}", KEY, associated=b"tokens")), "does not open"),
        (str(seal(b"{", KEY)), "not JSON"),
        (str(seal(b'{"access_token":"u"}', KEY)), "access_token = 'u' in place of 't'"),
        (str(seal(b"{}", KEY)), "access_token missing"),
    ],
    ids=["clear", "capitals", "other key", "associated data", "no JSON", "other value", "no value"],
)
def test_a_flaw_is_named(stored: object, said: str) -> None:
    assert said in flaw(stored, VALUE, KEY)


def test_a_key_opens_its_own_envelopes() -> None:
    assert opened(ENVELOPE, KEY) == json.dumps(VALUE).encode()
    assert opened(ENVELOPE, OTHER_KEY) is None
    assert parse(str(ENVELOPE).encode()) == ENVELOPE
    assert parse(str(ENVELOPE)) == ENVELOPE == Envelope(*str(ENVELOPE).split(":")[2:])


def test_no_near_miss_is_an_envelope() -> None:
    """Each differs from the envelope and from the others, and the bundled stores' reader refuses it."""
    misses = near_misses(ENVELOPE, KEY)
    assert len(misses) > 80
    assert str(ENVELOPE) not in [text for _, text in misses]
    for what, text in misses:
        with pytest.raises(DecryptionError):
            pytest.fail(f"{what} was read as {Keyring(KEY).open(text)!r}")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_tampering_is_survived(kind: str) -> None:
    for seed in range(300):
        text = Tampering(kind, seed)(ENVELOPE, KEY)
        assert text == Tampering(kind, seed)(ENVELOPE, KEY) or kind == "an envelope with a part of another"
        assert text != str(ENVELOPE)
        with pytest.raises(DecryptionError):
            Keyring(KEY).open(text)
