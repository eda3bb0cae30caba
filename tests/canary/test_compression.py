"""Streams are found at any position, and data that only looks like a stream costs little time."""

from __future__ import annotations

import os
import zlib

import pytest

from pytest_mcp_storage.canary.compression import LONGEST, unpacked

TEXT = b'{"access_token": "' + os.urandom(40).hex().encode() + b'", "scope": "read write"}'


def raw(data: bytes, *, flush: int = zlib.Z_FINISH, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(wbits=-15, strategy=strategy)
    return packer.compress(data) + packer.flush(flush)


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize("flush", [zlib.Z_FINISH, zlib.Z_SYNC_FLUSH])
def test_raw_deflate_is_found_at_the_given_positions(strategy: int, flush: int) -> None:
    packed = raw(TEXT, flush=flush, strategy=strategy)
    assert TEXT in list(unpacked(b"12345" + packed, [5]))
    assert TEXT not in list(unpacked(b"12345" + packed, [4]))


def test_a_stream_that_breaks_off_yields_its_beginning() -> None:
    text = os.urandom(3000).hex().encode()
    packed = zlib.compress(text)
    for cut in (b"", b"\xff" * 100):
        half = max(unpacked(packed[: len(packed) // 2] + cut, []), key=len)
        assert half[:2500] == text[:2500]


def test_a_bomb_is_unpacked_a_little_way() -> None:
    sizes = [len(stream) for stream in unpacked(zlib.compress(bytes(10 * LONGEST)), [])]
    assert max(sizes) == LONGEST


def test_a_page_of_structure_is_not_unpacked_over_and_over() -> None:
    """Small numbers, zeros and ones, as in databases, look like streams at every other byte."""
    page = b"".join(bytes((number % 7, 0, 10, 0, 0, 255, 255, 0, number % 251, 0)) for number in range(20_000))
    assert sum(map(len, unpacked(page, range(0, len(page), 100)))) < 20 * len(page)
