"""Find compressed streams in bytes of any kind, without their positions, and unpack them."""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

LONGEST = 1024 * 1024
"""At most this many bytes are unpacked from one stream."""

_GUESS = 4096
"""The same limit for weak candidates: raw deflate, fixed codes, and more blocks to come."""

_CHUNKS = (32, 96, 384, 1536, 6144)
"""The sizes of the pieces that feed a stream: small ones first, for most candidates fail at once."""

_ZLIB = b"|".join(
    re.escape(bytes((method, flags)))
    for method in range(0x08, 0x80, 0x10)
    for flags in range(256)
    if (method * 256 + flags) % 31 == 0
    and not flags & 0x20  # RFC 1950: the checksum is right, and there is no preset dictionary
)
_HEADERS: tuple[tuple[re.Pattern[bytes], Callable[[], Any]], ...] = (
    (re.compile(_ZLIB, re.DOTALL), zlib.decompressobj),
    (re.compile(rb"\x1f\x8b\x08"), lambda: zlib.decompressobj(31)),
    (re.compile(rb"BZh[1-9]"), bz2.BZ2Decompressor),
    (re.compile(rb"\xfd7zXZ\0|\]\0\0"), lzma.LZMADecompressor),
)

_DYNAMIC = re.compile(
    b"(?=[%b][%b])"
    % (
        re.escape(bytes(byte for byte in range(256) if byte & 7 in (4, 5) and byte >> 3 <= 29)),
        re.escape(bytes(byte for byte in range(256) if byte & 31 <= 29)),
    ),
    re.DOTALL,
)
"""How a deflate block with dynamic Huffman codes begins (RFC 1951, 3.2.7)."""

_FIXED = re.compile(
    rb"[%b](?!.{0,2}\0\0)"
    % re.escape(bytes(byte for byte in range(256) if byte & 7 in (2, 3) and byte >> 3 & 15 not in (0, 4, 8))),
    re.DOTALL,
)
"""How a block with the fixed codes begins: a literal first, and no end within the first few symbols (3.2.6)."""

_SHARES = [sum(128 >> n for n in (v & 7, v >> 3 & 7, v >> 6 & 7, v >> 9) if n) for v in range(4096)]
"""Four code lengths of 3 bits each: their share of the code space, in 128ths."""

_IS_TEXT = bytes(byte in b"\t\n\r" or 32 <= byte < 127 for byte in range(256))
_TEXT_RUN = 64
"""No compressed stream is text for this long; its first few bytes may be."""


def unpacked(data: bytes, starts: Iterable[int] | None = None) -> Iterator[bytes]:
    """Yield what the zlib, gzip, bzip2, xz, lzma and raw deflate streams in ``data`` hold.

    Streams with a header are found anywhere. Raw deflate has no header: it is looked for at each of ``starts``, and if
    these are ``None`` at every position. Streams that begin with a stored block are not found: that block is in clear
    text. A stream that breaks off, or is longer than ``LONGEST``, yields what it held until then.
    """
    view = memoryview(data)
    for header, decompressor in _HEADERS:
        for found in header.finditer(data):
            yield _unpack(decompressor(), view[found.start() :])
    for start in _raw_starts(data) if starts is None else starts:
        guess = starts is None and data[start] & 7 == 2
        yield _unpack(zlib.decompressobj(-15), view[start:], _GUESS if guess else LONGEST)


def _unpack(stream: Any, data: memoryview, most: int = LONGEST) -> bytes:
    parts: list[bytes] = []
    size = place = turn = 0
    before = None
    while place < len(data) and size < most and not stream.eof:
        chunk = data[place : place + _CHUNKS[min(turn, len(_CHUNKS) - 1)]]
        if parts and hasattr(stream, "copy"):
            before = stream.copy()
        try:
            parts.append(stream.decompress(chunk, most - size))
        except (zlib.error, OSError, lzma.LZMAError):  # it was no stream, or is damaged within this chunk
            return b"".join([*parts, *_unpack_bytes(before, chunk)])
        size += len(parts[-1])
        place += len(chunk)
        turn += 1
    return b"".join(parts)


def _unpack_bytes(stream: Any, chunk: memoryview) -> Iterator[bytes]:
    """Return what a chunk yields before the first invalid byte."""
    try:
        for place in range(len(chunk) if stream is not None else 0):
            yield stream.decompress(chunk[place : place + 1])
    except zlib.error:
        return


def _raw_starts(data: bytes) -> Iterator[int]:
    """Return the positions at which raw deflate may begin."""
    for low, high in _not_text(data):
        yield from (found.start() for found in _FIXED.finditer(data, low, high))
        for found in _DYNAMIC.finditer(data, low, high):
            start = found.start()
            head = int.from_bytes(data[start : start + 10], "little")
            lengths = head >> 17 & (1 << 3 * ((head >> 13 & 15) + 4)) - 1
            share = _SHARES[lengths & 4095] + _SHARES[lengths >> 12 & 4095] + _SHARES[lengths >> 24 & 4095]
            if share + _SHARES[lengths >> 36 & 4095] + _SHARES[lengths >> 48] == 128:  # complete, as zlib requires
                yield start


def _not_text(data: bytes) -> Iterator[tuple[int, int]]:
    """Return the stretches between long runs of text; each begins with the last characters of the run before it."""
    kinds = data.translate(_IS_TEXT)
    low, run = 0, b"\1" * _TEXT_RUN
    while (text := kinds.find(run, low)) >= 0:
        yield low, text + 1
        if (end := kinds.find(b"\0", text)) < 0:
            return
        low = end - _TEXT_RUN // 2
    yield low, len(data)
