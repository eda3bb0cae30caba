"""Damage a store's files so that nothing can parse them (DU-4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mcp_storage.spec.harness import NotMeasurable

SQLITE = b"SQLite format 3\0"
"""How a SQLite database begins (its file format, 1.3)."""

SQLITE_HEADER = 100
"""Bytes before the b-tree header of a database's first page; on any other page it is first."""

TREE_HEADER = 8

NOTES = b"These are somebody's notes, and no sessions.\n"


@dataclass(frozen=True)
class Damage:
    """``what`` happened to a file, in words; which contents it ``concerns``; and the content ``after`` it."""

    what: str
    after: Callable[[bytes], bytes]
    concerns: Callable[[bytes], bool] = bool


def is_sqlite(content: bytes) -> bool:
    """Say whether a file is a SQLite database."""
    return content.startswith(SQLITE)


def is_json(content: bytes) -> bool:
    """Say whether a file begins like a JSON array or object."""
    return content.lstrip()[:1] in (b"[", b"{")


DAMAGES: Sequence[Damage] = (
    Damage("cut off in the middle", lambda content: content[: len(content) // 2]),
    Damage("filled with zeros", lambda content: bytes(len(content))),
    Damage("with zeros in place of its first 512 bytes", lambda content: bytes(512) + content[512:]),
    Damage("replaced by a text file", lambda content: NOTES),
    Damage("replaced by a compressed file", lambda content: b"\x1f\x8b\x08" + bytes(range(256)) * 8),
    Damage("of which the b-tree header of the schema is overwritten", lambda content: _first_tree(content), is_sqlite),
    Damage("of which the other b-tree headers are overwritten", lambda content: _other_trees(content), is_sqlite),
    Damage("emptied", lambda content: b"", is_json),
    Damage("replaced by another JSON value", lambda content: b"{}" if content.lstrip()[:1] == b"[" else b"[]", is_json),
    Damage("replaced by null", lambda content: b"null", is_json),
)
"""SQLite, and whatever appends, treats a file of 0 bytes as a new store, so only a JSON file is emptied."""


def main_file(files: Sequence[Path]) -> Path:
    """Return the first file. Raise :class:`NotMeasurable` if there is none, or it is empty."""
    if not files or not files[0].is_file() or not files[0].stat().st_size:
        raise NotMeasurable("files() names no main file with anything in it, though sessions were stored")
    return files[0]


def parts(files: Sequence[Path]) -> list[Path]:
    """Return the main file, and files with content that do not share its name, as its logs and locks do."""
    main = main_file(files)
    others = (path for path in files if main.name not in path.name)
    return [main, *(path for path in others if path.is_file() and path.stat().st_size)]


def inflict(damage: Damage, files: Sequence[Path]) -> dict[Path, bytes]:
    """Damage every file that has content and is concerned, so that no copy can replace the main file.

    Return what the files hold now.
    """
    damaged = {}
    for path in files:
        if path.is_file() and (content := path.read_bytes()) and damage.concerns(content):
            # A new file, not new bytes in the old: a mapping that the store forgot to close would kill this process.
            fresh = path.with_name(f"{path.name}.damaged")
            damaged[path] = damage.after(content)
            fresh.write_bytes(damaged[path])
            fresh.chmod(path.stat().st_mode)
            fresh.replace(path)
    return damaged


def _first_tree(content: bytes) -> bytes:
    return content[:SQLITE_HEADER] + b"\xff" * TREE_HEADER + content[SQLITE_HEADER + TREE_HEADER :]


def _other_trees(content: bytes) -> bytes:
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    damaged = bytearray(content)
    for page in range(size, len(content), size):
        damaged[page : page + TREE_HEADER] = b"\xff" * TREE_HEADER
    return bytes(damaged)
