"""The envelope: compatible with upstream in both directions, and a DecryptionError for anything else."""

from __future__ import annotations

import json
import math
import traceback
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_backends import ConfigurationError, DecryptionError, InvalidSessionError, Keyring
from reference_backends.core.envelope import open_envelope, seal

ANSWERS = json.loads(Path(__file__).with_name("upstream_envelopes.json").read_text())
GOOD = [answer for answer in ANSWERS["vectors"] if len(answer["key"]) == 64]
PADDED_OR_CUT = [answer for answer in ANSWERS["vectors"] if len(answer["key"]) != 64]

CIPHER = AESGCM(bytes(range(32)))
SECRET = "s3cr3t-canary"
ENVELOPE = seal(CIPHER, {"access_token": SECRET})


def named(answers: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("answer", answers, ids=[answer["name"] for answer in answers])


@named(GOOD)
def test_what_upstream_sealed_opens_here(answer: dict[str, Any]) -> None:
    assert Keyring(answer["key"]).open(answer["envelope"]) == answer["plaintext"]


@named(GOOD)
def test_what_is_sealed_here_is_upstreams_format(answer: dict[str, Any]) -> None:
    """Decrypt the envelope without our code, with upstream's key bytes: the JSON holds the same value."""
    if answer["name"] == "lone-surrogate":
        with pytest.raises(InvalidSessionError):  # no session may hold one
            Keyring(answer["key"]).seal(answer["plaintext"])
        return
    sealed = Keyring(answer["key"]).seal(answer["plaintext"])
    prefix, version, iv, tag, ciphertext = sealed.split(":")
    assert (prefix, version, len(iv), len(tag)) == ("enc", "1", 24, 32)
    assert sealed == sealed.lower()
    plain = AESGCM(bytes.fromhex(answer["key_bytes_hex"])).decrypt(
        bytes.fromhex(iv), bytes.fromhex(ciphertext + tag), None
    )
    assert json.loads(plain) == answer["plaintext"]
    assert len(sealed) == len(answer["envelope"]) or answer["name"] == "floats-and-big"


@named(ANSWERS["negative"])
def test_what_upstream_hands_out_unopened_is_refused_here(answer: dict[str, Any]) -> None:
    with pytest.raises(DecryptionError):
        Keyring(answer["key"] or "f" * 64).open(answer["input"])


@named(PADDED_OR_CUT + ANSWERS["invalid_keys"])
def test_keys_that_upstream_pads_or_cuts_are_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Keyring(answer["key"])
    assert answer["key"] not in str(caught.value)


def test_every_envelope_has_a_new_iv() -> None:
    assert len({seal(CIPHER, {}).split(":")[2] for _ in range(1000)}) == 1000


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, object(), {"a": {1, 2}}, "\ud800", {"a": SECRET, "b": b""}, pytest.param(DEEP, id="deep")],
)
def test_only_json_can_be_sealed(value: object) -> None:
    with pytest.raises(InvalidSessionError) as caught:
        seal(CIPHER, value)
    assert caught.value.__context__ is None


def sealed_bytes(plain: bytes) -> str:
    iv = bytes(12)
    sealed = CIPHER.encrypt(iv, plain, None)
    return f"enc:1:{iv.hex()}:{sealed[-16:].hex()}:{sealed[:-16].hex()}"


@pytest.mark.parametrize(
    "plain",
    [b"", b"{", SECRET.encode(), b"NaN", b'{"a": Infinity}', b"\xff" + SECRET.encode(), b"[" * 100_000],
    ids=["empty", "cut", "text", "nan", "infinity", "not-utf-8", "too-deep"],
)
def test_what_is_authentic_and_no_json_is_refused_without_showing_it(plain: bytes) -> None:
    with pytest.raises(DecryptionError) as caught:
        open_envelope([CIPHER], sealed_bytes(plain))
    assert caught.value.__context__ is None
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


@pytest.mark.parametrize("value", [None, 1, b"enc:1:", {}, [], {"access_token": "clear"}])
def test_only_text_is_an_envelope(value: object) -> None:
    with pytest.raises(DecryptionError):
        open_envelope([CIPHER], value)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("width", [2, 8, 18, 24])
def test_digits_that_spaces_replace_are_missed(part: int, width: int) -> None:
    """``bytes.fromhex`` skips spaces, so a text of the right length can decode to too few bytes."""
    prefix, version, *parts = ENVELOPE.split(":")
    parts[part] = parts[part][:-width] + " " * width
    with pytest.raises(DecryptionError):
        open_envelope([CIPHER], ":".join((prefix, version, *parts)))


def test_nothing_opens_without_a_cipher() -> None:
    with pytest.raises(DecryptionError):
        open_envelope([], ENVELOPE)


def altered() -> st.SearchStrategy[str]:
    """Return changed envelopes."""
    length = len(ENVELOPE)
    places = st.integers(0, length - 1)
    swapped = st.permutations(ENVELOPE.split(":")).map(":".join)
    return st.one_of(
        st.tuples(places, st.characters()).map(lambda at: ENVELOPE[: at[0]] + at[1] + ENVELOPE[at[0] + 1 :]),
        st.tuples(places, st.characters()).map(lambda at: ENVELOPE[: at[0]] + at[1] + ENVELOPE[at[0] :]),
        places.map(lambda at: ENVELOPE[:at]),
        places.map(lambda at: ENVELOPE[at:]),
        places.map(lambda at: ENVELOPE[:at] + ENVELOPE[at + 1 :]),
        places.map(lambda at: ENVELOPE[:at] + ENVELOPE[at:].upper()),
        places.map(lambda at: ENVELOPE[:at] + " " + ENVELOPE[at:]),
        swapped,
        st.text().map(lambda text: ENVELOPE + text),
        st.text().map(lambda text: "enc:1:" + text),
        st.text(),
        st.sampled_from(["enc:0:", "enc:2:", "ENC:1:", "enc:01:", "enc::1:", "enc:1;", "\ufeffenc:1:"]).map(
            lambda prefix: prefix + ENVELOPE[6:]
        ),
        st.integers(1, 15).map(lambda size: ENVELOPE[: 6 + 24 + 1 + 2 * size] + ENVELOPE[6 + 24 + 1 + 32 :]),
        st.integers(1, 100_000).map(lambda size: ENVELOPE + "0" * size),
    ).filter(lambda text: text != ENVELOPE)


@settings(max_examples=500, deadline=None)
@given(altered())
def test_any_change_to_an_envelope_is_a_decryption_error(text: str) -> None:
    with pytest.raises(DecryptionError):
        open_envelope([CIPHER], text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_any_flipped_bit_is_a_decryption_error(bit: int) -> None:
    start = len("enc:1:")
    digits = [place for place in range(start, len(ENVELOPE)) if ENVELOPE[place] != ":"]
    place = digits[(bit // 4) % len(digits)]
    digit = f"{int(ENVELOPE[place], 16) ^ (1 << bit % 4):x}"
    with pytest.raises(DecryptionError):
        open_envelope([CIPHER], ENVELOPE[:place] + digit + ENVELOPE[place + 1 :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_what_is_sealed_opens_unchanged(value: object) -> None:
    assert open_envelope([CIPHER], seal(CIPHER, value)) == value
