"""The sessions of one JSON file: an array of camelCase sessions, each with its ``expiresAt`` in ms since the epoch.

``@mcp-ts/sdk`` reads and writes the same array without ``expiresAt``. Here each session is one line of the file, and
the encoded lines are kept in memory. So a write only joins them, and a reload decodes only the new lines.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reference_backends.core.errors import StorageError, StorageSetupError
from reference_backends.core.record import WIRE_NAMES, Record, from_wire
from reference_backends.core.session import IDENTIFYING
from reference_backends.embedded import filesystem
from reference_backends.embedded.backend import Engine
from reference_backends.embedded.polling import LOCK_TIMEOUT
from reference_backends.embedded.rows import decoded, row_text
from reference_backends.file import content as file_content
from reference_backends.file.content import HeldFile
from reference_backends.file.lock import FileLock


class Entry(NamedTuple):
    """A record, its expiry (``None``: not set yet), and its line in the file."""

    record: Record
    expires_at: int | None
    line: bytes

    @classmethod
    def of(cls, record: Record, expires_at: int) -> Entry:
        """Return the entry of a record, encoded for the file."""
        return cls(record, expires_at, row_text(record, expiresAt=expires_at).encode())

    def live(self, now: int) -> bool:
        """Return whether it has not expired. ``now`` and ``expires_at`` are in ms since the epoch."""
        return self.expires_at is None or now < self.expires_at


class SessionFile(Engine):
    """The engine of the file store; ``default_expiry`` is the expiry of rows that have none."""

    def __init__(self, path: Path, default_expiry: Callable[[], int]) -> None:
        self._path = path
        self._default_expiry = default_expiry
        self._lock: FileLock | None = None
        self._entries: dict[str, dict[str, Entry]] = {}
        self._lacks_expiries = False
        self._changed = False
        self._held: HeldFile | None = None

    def open(self) -> None:
        if self._lock is not None:
            with self.reading():
                return
        try:
            self._open()
        except OSError as error:
            self.close()
            raise filesystem.storage_error(error, self._path) from error
        except StorageError:
            self.close()
            raise

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._set_entries([])
        self._held = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        try:
            self._refresh()
        except OSError as error:
            raise filesystem.storage_error(error, self._path) from error
        if self._lacks_expiries:
            with self.writing():
                pass
        yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        if self._lock is None:
            raise StorageError("this file store is not open; await init() first")
        try:
            with self._lock:
                self._refresh()
                self._set_missing_expiries()
                yield
                if self._changed:
                    self._save()
        except OSError as error:
            raise filesystem.storage_error(error, self._path) from error
        finally:
            if self._changed:  # not saved, so load the file again at the next call
                self._changed = False
                self._held = None

    def find(self, identity: str, session_id: str, now: int) -> Record | None:
        entry = self._entries.get(identity, {}).get(session_id)
        return entry.record if entry is not None and entry.live(now) else None

    def find_all(self, identity: str, now: int) -> list[Record]:
        return [entry.record for entry in self._entries.get(identity, {}).values() if entry.live(now)]

    def ids_of(self, identity: str, now: int) -> list[str]:
        return [session_id for session_id, entry in self._entries.get(identity, {}).items() if entry.live(now)]

    def names(self, now: int) -> list[tuple[str, str]]:
        return [(identity, session_id) for identity in self._entries for session_id in self.ids_of(identity, now)]

    def insert(self, record: Record, expires_at: int, now: int) -> bool:
        if self.find(record["identity"], record["session_id"], now) is not None:
            return False
        self.replace(record, expires_at)
        return True

    def replace(self, record: Record, expires_at: int) -> None:
        self._put(Entry.of(record, expires_at))
        self._changed = True

    def rewrite(self, record: Record) -> None:
        expires_at = self._entries[record["identity"]][record["session_id"]].expires_at
        assert expires_at is not None  # writing() has set the missing ones
        self.replace(record, expires_at)

    def delete(self, identity: str, session_id: str) -> None:
        sessions = self._entries.get(identity, {})
        if sessions.pop(session_id, None) is not None:
            self._changed = True
        if not sessions:
            self._entries.pop(identity, None)

    def delete_all(self) -> None:
        self._entries = {}
        self._changed = True

    def delete_expired(self, now: int) -> None:
        live = [entry for entry in self._all() if entry.live(now)]
        self._changed = self._changed or len(live) < sum(map(len, self._entries.values()))
        self._set_entries(live)

    def compact(self) -> None:
        """Do nothing: each write replaces the whole file."""

    def _open(self) -> None:
        self._path = filesystem.real(self._path)
        filesystem.make_folder(self._path.parent)
        filesystem.refuse_mount_point(self._path)
        lock = self._path.with_name(f"{self._path.name}.lock")
        is_first = not lock.exists()
        self._lock = FileLock(lock, LOCK_TIMEOUT)
        with self._lock:
            file_content.remove_leftovers(self._path)
            with contextlib.suppress(FileNotFoundError):
                self._load(may_be_empty=is_first)
                self._set_missing_expiries()
            self._save()  # also if nothing changed, to find out now whether writes work
        filesystem.warn_if_exposed(self._path)

    def _refresh(self) -> None:
        """Load the file if another handle or another program has changed it."""
        version = file_content.version_of(self._path)
        if self._held is None or version != self._held.version:
            self._load()

    def _load(self, *, may_be_empty: bool = False) -> None:
        content, held = file_content.read(self._path)
        known = {entry.line: entry for entry in self._all()}
        entries: list[Entry] | str | None = [] if may_be_empty and not content else _by_line(content, known)
        if entries is None:
            entries = _as_array(content)
        if isinstance(entries, str):
            raise StorageSetupError(f"{self._path} {entries}; the file was not changed")
        self._set_entries(entries)
        self._held = held

    def _set_missing_expiries(self) -> None:
        """Give an expiry to the rows of another program."""
        if self._lacks_expiries:
            expires_at = self._default_expiry()
            with_expiry = [
                entry if entry.expires_at is not None else Entry.of(entry.record, expires_at) for entry in self._all()
            ]
            self._set_entries(with_expiry)
            self._changed = True

    def _save(self) -> None:
        lines = b",\n".join(entry.line for entry in self._all())
        self._held = file_content.replace(self._path, b"[\n%b\n]\n" % lines if lines else b"[]\n")
        self._changed = False

    def _all(self) -> Iterator[Entry]:
        return (entry for sessions in self._entries.values() for entry in sessions.values())

    def _put(self, entry: Entry) -> None:
        record = entry.record
        self._entries.setdefault(record["identity"], {})[record["session_id"]] = entry

    def _set_entries(self, entries: list[Entry]) -> None:
        self._entries = {}
        self._lacks_expiries = any(entry.expires_at is None for entry in entries)
        for entry in entries:
            self._put(entry)


def _by_line(content: bytes, known: Mapping[bytes, Entry]) -> list[Entry] | None:
    """Return the entries of a file in this store's layout, ``None`` for any other. Do not decode known lines again."""
    if not content.startswith(b"[\n{") or not content.endswith(b"}\n]\n"):
        return None
    entries = []
    for line in content[2:-3].split(b",\n"):
        entry = known.get(line) or _entry(decoded(line), line)
        if isinstance(entry, str):
            return None
        entries.append(entry)
    return entries


def _as_array(content: bytes) -> list[Entry] | str:
    """Return the entries of a JSON array of sessions; for anything else, what is wrong and what to do."""
    if not content:
        return "is empty although it held sessions before; restore it, or delete the file to start with an empty store"
    rows = decoded(content)
    if not isinstance(rows, list):
        return "is not a JSON array of sessions; repair it, or move it away"
    entries = []
    for index, row in enumerate(rows):
        entry = _entry(row)
        if isinstance(entry, str):
            return (
                f"is not a JSON array of sessions: the element with index {index} (of {len(rows)}, counted from 0) "
                f"{entry}; repair or delete that element, or move the file away"
            )
        entries.append(entry)
    return entries


def _entry(row: object, line: bytes | None = None) -> Entry | str:
    """Return the entry of one row; if it is not a session's, what is wrong, without its values (EN-10)."""
    if not isinstance(row, dict):
        return "is not an object"
    expires_at = row.pop("expiresAt", None)
    if expires_at is not None and not _is_moment(expires_at):
        return "has an expiresAt that is not a number of milliseconds"
    moment = None if expires_at is None else math.ceil(expires_at)
    record = from_wire(row)
    for name in sorted(IDENTIFYING):
        if not isinstance(record.get(name), str) or not record[name]:
            return f"has no {WIRE_NAMES[name]}, or its value is not text"
    return Entry(record, moment, line or row_text(record, expiresAt=moment).encode())


def _is_moment(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
