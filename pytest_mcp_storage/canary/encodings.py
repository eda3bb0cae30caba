"""The encodings in which a store may keep a secret (EN-1): as patterns to look for, and as layers to remove.

An encoding of single characters shows a text as the same bytes at every position: these bytes can be looked for. An
encoding over another one, or over a compressed stream, has to be removed first.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_SHORTEST = 12
"""This many characters in a row are worth decoding."""

_GAP = b"\0\0\0\0"
"""Separates the pieces of a layer."""


class Layer(NamedTuple):
    """What is under an encoding. ``starts``: where its pieces begin, if known."""

    encoding: str
    data: bytes
    starts: Sequence[int] = ()


def patterns(text: bytes) -> list[tuple[str, bytes]]:
    """Return ``text`` in each encoding, with the name of the encoding."""
    found = [
        ("plain", text),
        ("reversed", text[::-1]),
        ("UTF-16", b"\0".join(bytes([byte]) for byte in text)),
    ]
    for digits in (text.hex(" ").split(), text.hex(" ").upper().split()):
        for name, lead in (("hex", ""), ("URL", "%"), ("JSON", "\\u00"), ("JSON", "\\x")):
            found.append((name, "".join(lead + pair for pair in digits).encode()))
        found += [("hex", separator.join(digits).encode()) for separator in " :-,"]
    for before in range(3):
        end = before + len(text)
        shown = base64.b64encode(bytes(before) + text + bytes(-end % 3))
        # The outermost characters also hold bits of the text before and after.
        shown = shown[(0, 2, 3)[before] : len(shown) - (0, 3, 2)[end % 3]]
        found += [("base64", shown), ("base64", shown.translate(_URL_ALPHABET))]
    return list(dict.fromkeys(found))


def layers(data: bytes) -> Iterator[Layer]:
    """Return ``data`` with each encoding removed, if anything in it looks encoded so."""
    yield Layer("reversed", data[::-1])
    if any(wide in data.translate(_IS_ZERO) for wide in _WIDE):
        yield Layer("UTF-16", data[::2])
        yield Layer("UTF-16", data[1::2])
    whole = without_breaks(data)
    yield joined("hex", (_unhexed(run[skipped:]) for run in _runs((data, whole), _IS_HEX) for skipped in range(2)))
    runs = _runs((data.translate(_URL_BACK), whole.translate(_URL_BACK)), _IS_BASE64)
    yield joined("base64", (_unbased(run[skipped:]) for run in runs for skipped in range(4)))
    if b"%" in data:
        quoted = [run for run in _runs((data,), _IS_QUOTED) if b"%" in run]
        yield joined("URL", map(unquote_to_bytes, {*quoted, *(run.replace(b"+", b" ") for run in quoted)}))
    if b"\\" in data:
        unescaped = _ESCAPE.sub(_unescape, data)
        for each in {unescaped, _NARROW.sub(lambda found: found[0].decode().encode("latin-1"), unescaped)}:
            yield Layer("JSON", each, [found.end() for found in re.finditer(b'"', each)])


def without_breaks(data: bytes) -> bytes:
    """Return ``data`` without line breaks, also JSON's, inside long base64 and hexadecimal text."""
    for spelled, meant in ((b"\r", b""), (b"\n", b""), (b"\\r", b""), (b"\\n", b""), (b"\\/", b"/")):
        data = data.replace(spelled, meant)
    return data


def joined(encoding: str, pieces: Iterable[bytes]) -> Layer:
    """Return the layer that these pieces make; pieces too short for a secret are left out."""
    starts: list[int] = []
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        if len(piece) >= _SHORTEST:
            starts.append(size)
            kept += (piece, _GAP)
            size += len(piece) + len(_GAP)
    return Layer(encoding, b"".join(kept), starts)


def _runs(versions: Iterable[bytes], kind: bytes) -> list[bytes]:
    """Return each long run of characters of a kind, once."""
    found = (run for data in versions for run in data.translate(kind).split() if len(run) >= _SHORTEST)
    return list(dict.fromkeys(found))


def _unhexed(text: bytes) -> bytes:
    return binascii.unhexlify(text[: len(text) // 2 * 2])


def _unbased(text: bytes) -> bytes:
    return binascii.a2b_base64(text + b"A" * (-len(text) % 4))


def _kind(alphabet: bytes) -> bytes:
    """Return a translation that keeps the alphabet and turns everything else into a space."""
    return bytes(byte if byte in alphabet else 32 for byte in range(256))


_HEX = b"0123456789abcdefABCDEF"
_ALNUM = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_IS_ZERO = bytes(not byte for byte in range(256))
_WIDE = (b"\0\1" * _SHORTEST, b"\0\1\1\1" * _SHORTEST)
"""UTF-16, once and twice, as ``_IS_ZERO`` shows it."""
_IS_HEX = _kind(_HEX)
_IS_BASE64 = _kind(_ALNUM + b"+/")
_IS_QUOTED = _kind(_ALNUM + b"%+/-_.~!*'()")
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_URL_BACK = bytes.maketrans(b"-_", b"+/")

_ESCAPE = re.compile(rb'\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(["\\/bfnrt]))')
_SHORT = dict(zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True))
_NARROW = re.compile(rb"[\xc2\xc3][\x80-\xbf]")
"""Characters up to U+00FF in UTF-8: bytes that were taken for text."""


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[3]:
        return bytes([_SHORT[found[3][0]]])
    code = int(found[1] or found[2], 16)
    return bytes([code]) if code < 256 else chr(code).encode("utf-8", "surrogatepass")
