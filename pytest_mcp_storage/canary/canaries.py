"""Canaries: secrets that are planted in sessions, and found again wherever a store keeps them (EN-1, EN-10)."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pytest_mcp_storage.canary.compression import unpacked
from pytest_mcp_storage.canary.encodings import joined, layers, patterns, without_breaks

_MARK = 12
_BODY = 36


class Finding(NamedTuple):
    """The place of ``text``: under ``encodings``, the outermost first; ``layer`` is what is under all but the last."""

    text: bytes
    encodings: tuple[str, ...]
    layer: bytes


class Canaries:
    """Secrets of one example, of 60 characters each, and the search for them.

    They share a mark that nothing else contains. The search is for the mark, and many secrets take no longer than one.
    The mark is at both ends, so that a page boundary within a secret does not hide it. Its letters differ, and the rest
    is lower case, so that a compressor, which refers back to earlier text, writes out the first mark.
    """

    def __init__(self) -> None:
        self._mark = "".join(secrets.SystemRandom().sample(string.ascii_uppercase, _MARK))
        self._labels: dict[str, str] = {}
        self._others: dict[bytes, str] = {}

    def secret(self, label: str) -> str:
        """Return a new secret, of 186 bits. ``label``: its name in a finding."""
        body = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_BODY))
        secret = f"{self._mark}{body}{self._mark}"
        self._labels[secret] = label
        return secret

    def guard_key(self, key: str, label: str) -> None:
        """Search for this hexadecimal key too, as text and as bytes."""
        self._others |= dict.fromkeys((key.lower().encode(), key.upper().encode(), bytes.fromhex(key)), label)

    def credentials(self, of: str, *, padding: str = "") -> dict[str, Any]:
        """Return ``tokens`` and ``headers`` with secrets in them.

        ``of``: whose, in words; ``padding``: text next to them.
        """
        return {
            "tokens": {
                "access_token": self.secret(f"the access token of {of}"),
                "refresh_token": self.secret(f"the refresh token of {of}"),
                "id_token": self.secret(f"the id token of {of}"),
                "token_type": "Bearer",
                "scope": padding,
                "more": {"secrets": [self.secret(f"a nested secret of {of}") + '"\\/é']},
            },
            "headers": {
                "Authorization": f"Bearer {self.secret(f'the Authorization header of {of}')}",
                "Cookie": f"id={self.secret(f'the Cookie header of {of}')}; Secure",
                "X-Api-Key": self.secret(f"the X-Api-Key header of {of}"),
            },
        }

    def client_secrets(self, of: str) -> dict[str, Any]:
        """Return ``code_verifier`` and ``client_information`` with secrets in them."""
        return {
            "code_verifier": self.secret(f"the code_verifier of {of}"),
            "client_information": {"client_id": "app", "client_secret": self.secret(f"the client_secret of {of}")},
        }

    def found_in(self, data: bytes) -> str:
        """Return which secret is in ``data``, and how it is encoded, in words; empty if none is.

        The search finds plain, JSON-escaped, base64, base64url, hexadecimal, URL-quoted, UTF-16, reversed and
        compressed (zlib, gzip, bzip2, xz) text, each by itself and any two of them, one over the other. Raw deflate is
        found only at the beginning of a hexadecimal, base64, quoted or compressed text.
        """
        finding = next(find(data, [self._mark.encode(), *self._others]), None)
        if finding is None:
            return ""
        encodings = [each for each in finding.encodings if each != "plain"] or ["in clear"]
        return f"{self._label(finding)} ({', then '.join(reversed(encodings))})"

    def found_plainly_in(self, data: bytes) -> str:
        """Describe the secret that ``data`` holds without any encoding; return an empty text if it holds none."""
        place = data.find(self._mark.encode())
        return f"{self._label(Finding(self._mark.encode(), ('plain',), data))} (in clear)" if place >= 0 else ""

    def _label(self, finding: Finding) -> str:
        if finding.text in self._others:
            return self._others[finding.text]
        for secret, label in self._labels.items():
            if any(pattern in finding.layer for _, pattern in _patterns(secret[:-_MARK].encode())):
                return label
        return "a planted secret"


def find(data: bytes, texts: Sequence[bytes]) -> Iterator[Finding]:
    """Yield each way in which one of ``texts`` is in ``data``: encodings as in :meth:`Canaries.found_in`."""
    yield from _shown(data, texts, ())
    yield from _packed(data, (), texts, ())
    for layer in layers(data):
        yield from _shown(layer.data, texts, (layer.encoding,))
        yield from _shown(without_breaks(layer.data), texts, (layer.encoding,))
        yield from _packed(layer.data, layer.starts, texts, (layer.encoding,))


def _packed(data: bytes, starts: Sequence[int], texts: Sequence[bytes], over: tuple[str, ...]) -> Iterator[Finding]:
    """Yield the same for what is compressed in ``data``.

    Data without an encoding over it may be compressed twice.
    """
    packed = joined("compressed", unpacked(data, starts))
    over = (*over, packed.encoding)
    yield from _shown(packed.data, texts, over)
    yield from _shown(without_breaks(packed.data), texts, over)
    if len(over) == 1:
        yield from _packed(packed.data, packed.starts, texts, over)


def _shown(data: bytes, texts: Sequence[bytes], over: tuple[str, ...]) -> Iterator[Finding]:
    for text in texts:
        for encoding, pattern in _patterns(text):
            if pattern in data:
                yield Finding(text, (*over, encoding), data)


@lru_cache(maxsize=64)
def _patterns(text: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple(patterns(text))
