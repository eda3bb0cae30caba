"""Canaries are found under any two encodings, at every position, and nothing else is found."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import json
import lzma
import random
import zlib
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mcp_storage.canary.canaries import Canaries
from reference_backends import Keyring

KEY = "0123456789abcdef" * 4


def deflated(strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-15, strategy=strategy)
        return packer.compress(data) + packer.flush()

    return pack


def as_text(data: bytes) -> str:
    """Return bytes as text with one character for each byte, as programs without bytes have them."""
    return data.decode("latin-1")


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "reversed": lambda data: data[::-1],
    "UTF-16 LE": lambda data: as_text(data).encode("utf-16-le"),
    "UTF-16 BE": lambda data: as_text(data).encode("utf-16-be"),
    "UTF-16 with a mark": lambda data: as_text(data).encode("utf-16"),
    "hex": lambda data: data.hex().encode(),
    "hex in capitals": lambda data: data.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 in lines": base64.encodebytes,
    "JSON": lambda data: json.dumps(as_text(data)).encode(),
    "JSON in UTF-8": lambda data: json.dumps(as_text(data), ensure_ascii=False).encode(),
    "JSON, all escaped": lambda data: ('"' + "".join(f"\\u{byte:04x}" for byte in data) + '"').encode(),
    "URL": lambda data: quote(data).encode(),
    "URL with plus": lambda data: quote_plus(data).encode(),
    "URL, all quoted": lambda data: "".join(f"%{byte:02X}" for byte in data).encode(),
    "zlib": zlib.compress,
    "zlib, stored": lambda data: zlib.compress(data, 0),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}
encodings = st.sampled_from(sorted(ENCODINGS))
surroundings = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 5000).map(bytes),
    st.text("abc{}[]:,\\ %", max_size=100).map(str.encode),
    st.binary(max_size=200).map(lambda data: data.hex().encode()),
)


def contents(canaries: Canaries, kind: int, noise: random.Random) -> bytes:
    """Return what a store may keep of a secret: itself, tokens with it, a long row with it, or bytes around it."""
    secret = canaries.secret("the token")
    if kind == 0:
        return secret.encode()
    if kind == 1:
        return json.dumps({"access_token": secret, "token_type": "Bearer", "expires_in": 3600}).encode()
    if kind == 2:
        more = {"scope": "read write " * noise.randrange(200), "id": noise.randbytes(noise.randrange(400)).hex()}
        return json.dumps({"access_token": secret, **more, "headers": {"X-Api-Key": canaries.secret("a key")}}).encode()
    return noise.randbytes(noise.randrange(50)) + secret.encode() + noise.randbytes(noise.randrange(50))


@settings(max_examples=300, deadline=None)
@given(encodings, encodings, st.integers(0, 3), st.integers(0, 2**32), surroundings, surroundings)
def test_any_encoding_over_any_other_is_seen_through(
    outer: str, inner: str, kind: int, seed: int, before: bytes, behind: bytes
) -> None:
    canaries = Canaries()
    lies = ENCODINGS[outer](ENCODINGS[inner](contents(canaries, kind, random.Random(seed))))
    assert canaries.found_in(before + b'"' + lies + b'"' + behind)


@pytest.mark.parametrize("outer", sorted(ENCODINGS))
def test_each_pair_is_seen_through_in_a_row(outer: str) -> None:
    missed = []
    for inner in ENCODINGS:
        canaries = Canaries()
        lies = ENCODINGS[outer](ENCODINGS[inner](contents(canaries, 1, random.Random(1))))
        if not canaries.found_in(b'{"more": "' + lies + b'"}'):
            missed.append(inner)
    assert missed == []


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize("outer", ["hex", "hex in capitals", "base64", "base64url", "zlib"])
def test_raw_deflate_is_found_in_an_encoding(outer: str, strategy: int) -> None:
    canaries = Canaries()
    packed = ENCODINGS[outer](deflated(strategy)(contents(canaries, 1, random.Random(1))))
    assert canaries.found_in(b'{"more": "' + packed + b'"}')


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["base64", "base64url", "hex", "hex in capitals", "plain"]), st.text("abcdef0123", max_size=9))
def test_characters_before_it_hide_nothing(encoding: str, before: str) -> None:
    """Extend the data with characters of the encoding's alphabet, which shift what can be decoded."""
    canaries = Canaries()
    assert canaries.found_in(before.encode() + ENCODINGS[encoding](canaries.secret("s").encode()) + before.encode())


@pytest.mark.parametrize("between", [" ", ":", "-", ","])
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_dump_with_separators_hides_nothing(between: str, spelled: Callable[[str], str]) -> None:
    canaries = Canaries()
    dump = spelled(canaries.secret("s").encode().hex(between))
    assert canaries.found_in(b"00 " + dump.encode() + b" 00")


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_page_boundary_within_it_hides_nothing(cut: int) -> None:
    canaries = Canaries()
    secret = canaries.secret("s").encode()
    assert canaries.found_in(secret[:cut] + bytes(16) + secret[cut:])


@settings(max_examples=100, deadline=None)
@given(surroundings, st.sampled_from(["sealed", "hashed", "another's"]))
def test_what_shows_no_secret_is_not_reported(surrounding: bytes, how: str) -> None:
    canaries = Canaries()
    secret = canaries.secret("s")
    lies = {
        "sealed": Keyring(KEY).seal({"access_token": secret}).encode(),
        "hashed": hashlib.sha256(secret.encode()).hexdigest().encode(),
        "another's": Canaries().secret("s").encode(),
    }[how]
    assert canaries.found_in(surrounding + lies + surrounding) == ""


def test_a_finding_says_which_secret_is_encoded_how() -> None:
    canaries = Canaries()
    canaries.secret("another")
    secret = canaries.secret("the token of s1")
    assert canaries.found_in(b"..." + secret.encode()) == "the token of s1 (in clear)"
    assert canaries.found_in(secret.encode().hex().encode()) == "the token of s1 (hex)"
    packed = zlib.compress(f"tokens: {secret}".encode()).hex().encode()
    assert canaries.found_in(packed) == "the token of s1 (compressed, then hex)"
    assert canaries.found_in(secret[:20].encode()) == "a planted secret (in clear)"


@pytest.mark.parametrize("form", [KEY, KEY.upper(), bytes.fromhex(KEY), base64.b64encode(bytes.fromhex(KEY))])
def test_a_guarded_key_is_found_as_text_and_as_bytes(form: str | bytes) -> None:
    canaries = Canaries()
    data = b"key=" + (form.encode() if isinstance(form, str) else form)
    assert canaries.found_in(data) == ""
    canaries.guard_key(KEY, "the key")
    assert canaries.found_in(data).startswith("the key (")


def test_a_bomb_is_unpacked_a_little_way() -> None:
    canaries = Canaries()
    bomb = zlib.compress(bytes(20 * 1024 * 1024))
    assert canaries.found_in(zlib.compress(bomb) + bomb) == ""


def test_credentials_hold_a_secret_in_each_part() -> None:
    canaries = Canaries()
    fields = {**canaries.credentials("s1"), **canaries.client_secrets("s1")}
    parts = [fields["tokens"][f"{kind}_token"] for kind in ("access", "refresh", "id")]
    parts += [*fields["headers"].values(), fields["code_verifier"]]
    parts += [fields["tokens"]["more"], fields["client_information"]["client_secret"]]
    assert all(canaries.found_in(json.dumps(part).encode()) for part in parts)
    assert len({canaries.found_in(json.dumps(part).encode()) for part in parts}) == len(parts)
