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


def unpacked(data: bytes, starts: Iterable[int] = ()) -> Iterator[bytes]:
    """Yield what the zlib, gzip, bzip2, xz, lzma and raw deflate streams in ``data`` hold.

    Streams with a header are found anywhere. Raw deflate has no header: it is looked for only at each of ``starts``.
    A stream that breaks off, or is longer than ``LONGEST``, yields what it held until then.
    """
    view = memoryview(data)
    for header, decompressor in _HEADERS:
        for found in header.finditer(data):
            yield _unpack(decompressor(), view[found.start() :])
    for start in starts:
        yield _unpack(zlib.decompressobj(-15), view[start:])


def _unpack(stream: Any, data: memoryview) -> bytes:
    parts: list[bytes] = []
    size = place = turn = 0
    before = None
    while place < len(data) and size < LONGEST and not stream.eof:
        chunk = data[place : place + _CHUNKS[min(turn, len(_CHUNKS) - 1)]]
        if parts and hasattr(stream, "copy"):
            before = stream.copy()
        try:
            parts.append(stream.decompress(chunk, LONGEST - size))
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
