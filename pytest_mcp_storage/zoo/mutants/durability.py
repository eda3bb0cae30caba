"""Stores that lose what they acknowledged, or destroy what could be repaired."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.harnesses.sqlite import SqliteHarness
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Row, Rows
from pytest_mcp_storage.zoo.json_store import JsonStore, JsonStoreHarness
from reference_backends import Clock, SessionData, SqliteStorageBackend, StorageSetupError
from reference_backends.core.record import to_wire
from reference_backends.embedded.filesystem import StrPath
from reference_backends.file.content import replace

Result = TypeVar("Result")


class _TimesInMemory(JsonStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.times: dict[tuple[str, str], float] = {}

    def load(self) -> Rows:
        rows = super().load()
        return {name: Row(row.record, self.times.get(name, math.inf)) for name, row in rows.items()}

    def save(self, rows: Rows) -> None:
        self.times = {name: row.expires_at for name, row in rows.items()}
        super().save({name: Row(row.record, 0.0) for name, row in rows.items()})


class TimesInMemory(JsonStoreHarness):
    """Expires sessions by timers in the process and stores the sessions alone: after a restart nothing expires."""

    breaks = "DU-1"
    store = _TimesInMemory


class _ClearsItsCopy(InMemoryBackend):
    cleared: frozenset[SessionKey] = frozenset()

    async def clear_all(self) -> None:
        self.cleared = await self.call(frozenset)

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        self.cleared -= {(session.identity, session.session_id)}
        await super().create_session(session, ttl)

    def live(self, rows: Rows, name: SessionKey) -> Row | None:
        return None if name in self.cleared else super().live(rows, name)


class ClearsItsCopy(JsonStoreHarness):
    """Clears its memory and leaves the file for the next write, which may never come."""

    breaks = "DU-1"
    backend = _ClearsItsCopy


class _WritesLater(JsonStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.copy: Rows | None = None
        self.timer: asyncio.TimerHandle | None = None

    def done(self, work: Callable[[Rows], Result]) -> Result:
        if self.copy is None:
            self.copy = self.load()
        answer = work(self.copy)
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(0.05, self.flush)
        return answer

    def flush(self) -> None:
        self.timer = None
        if self.copy is not None:
            self.save(self.copy)

    def leave(self) -> None:
        self.flush()
        self.copy = None
        super().leave()


class WritesLater(JsonStoreHarness):
    """Answers from memory and writes twenty times a second and at the end: a kill loses acknowledged writes."""

    breaks = "DU-2"
    store = _WritesLater


class _RemovesLater(JsonStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.removed: Rows = {}

    def load(self) -> Rows:
        return {name: row for name, row in super().load().items() if name not in self.removed}

    def save(self, rows: Rows) -> None:
        self.removed = {name: row for name, row in super().load().items() if name not in rows}
        super().save({**self.removed, **rows})

    def leave(self) -> None:
        rows, self.removed = self.load(), {}
        super().save(rows)
        super().leave()


class RemovesLater(JsonStoreHarness):
    """Marks what is removed in memory and clears it out at the end: after a kill a removed session is back."""

    breaks = "DU-2"
    store = _RemovesLater


class _WritesInPlace(JsonStore):
    def save(self, rows: Rows) -> None:
        with self.path.open("w") as file:
            self.path.chmod(0o600)
            file.write("[")
            for place, row in enumerate(rows.values()):
                line = json.dumps(to_wire(row.record) | {"expiresAt": row.expires_at})
                file.write(f"{',' if place else ''}\n{line}")
                file.flush()
                os.fsync(file.fileno())
            file.write("\n]\n")


class WritesInPlace(JsonStoreHarness):
    """Opens the file for writing, which empties it, and writes row after row: a kill leaves a part of the rows."""

    breaks = "DU-3"
    store = _WritesInPlace


class _WritesAtOnce(JsonStore):
    def save(self, rows: Rows) -> None:
        self.path.write_bytes(self.text(rows))
        self.path.chmod(0o600)


class WritesAtOnce(JsonStoreHarness):
    """Writes the whole file in one call, which is not atomic: it is emptied first, and a kill can come between."""

    breaks = "DU-3"
    store = _WritesAtOnce


class _CopiesOver(JsonStore):
    def save(self, rows: Rows) -> None:
        temporary = self.path.with_name(f"{self.path.name}.new")
        temporary.write_bytes(self.text(rows))
        temporary.chmod(0o600)
        shutil.copy(temporary, self.path)


class CopiesOver(JsonStoreHarness):
    """Writes a new file, and copies it over the old one rather than renaming it."""

    breaks = "DU-3"
    store = _CopiesOver


class _StartsAnew(JsonStore):
    def load(self) -> Rows:
        try:
            return super().load()
        except StorageSetupError:
            self.save({})
            return {}


class StartsAnew(JsonStoreHarness):
    """Takes a file that it can't parse for none, so that the service comes up: all its content is gone."""

    breaks = "DU-4"
    store = _StartsAnew


class _TakesEmptyForNew(JsonStore):
    def load(self) -> Rows:
        return super().load() if self.path.exists() and self.path.stat().st_size else {}


class TakesEmptyForNew(JsonStoreHarness):
    """Takes an empty file for a new store, as some databases do: a file that a full disk has emptied is not noticed."""

    breaks = "DU-4"
    store = _TakesEmptyForNew


class _MovesItAway(JsonStore):
    def load(self) -> Rows:
        try:
            return super().load()
        except StorageSetupError:
            self.path.rename(self.path.with_name(f"{self.path.name}.bak"))
            return {}


class MovesItAway(JsonStoreHarness):
    """Moves a damaged file away and begins an empty one, without an error; the next time it overwrites the copy."""

    breaks = "DU-4"
    store = _MovesItAway


class _LetsTheParserSpeak(JsonStore):
    def load(self) -> Rows:
        return self.parsed(self.path.read_bytes()) if self.path.exists() else {}


class LetsTheParserSpeak(JsonStoreHarness):
    """Raises the parser's error: callers that catch StorageError do not catch it."""

    breaks = "DU-4"
    store = _LetsTheParserSpeak


class _TokensApart(JsonStore):
    @property
    def temporary(self) -> Path:
        return self.path.with_name("tokens.json")

    def load(self) -> Rows:
        tokens = self.tokens()
        return {
            name: Row({**row.record, "tokens": tokens.get(name)}, row.expires_at)
            for name, row in super().load().items()
        }

    def tokens(self) -> dict[SessionKey, Any]:
        try:
            return {(identity, id): tokens for identity, id, tokens in json.loads(self.temporary.read_bytes())}
        except (OSError, ValueError, TypeError):
            return {}

    def save(self, rows: Rows) -> None:
        tokens = [[*name, row.record.get("tokens")] for name, row in rows.items()]
        replace(self.temporary, json.dumps(tokens).encode())
        super().save({name: Row({**row.record, "tokens": None}, row.expires_at) for name, row in rows.items()})


class TokensApart(JsonStoreHarness):
    """Keeps tokens in a second file, and takes one that it can't parse for a missing one: all users are signed out."""

    breaks = "DU-4"
    store = _TokensApart


class _RemovesTheRest(_TokensApart):
    def load(self) -> Rows:
        try:
            return super().load()
        except StorageSetupError:
            self.temporary.unlink(missing_ok=True)
            raise


class RemovesTheRest(JsonStoreHarness):
    """Removes the files next to one that it can't parse, since they belong to nothing any more."""

    breaks = "DU-4"
    store = _RemovesTheRest


class _RecreatesTheDatabase(SqliteStorageBackend):
    def __init__(self, path: StrPath, **options: object) -> None:
        super().__init__(path, **options)  # type: ignore[arg-type]
        self.path = Path(path)

    async def init(self) -> None:
        try:
            await super().init()
        except StorageSetupError:
            self.path.unlink()
            await super().init()


class RecreatesTheDatabase(SqliteHarness):
    """Deletes a database that it can't open and makes a new one, as a cache may do."""

    breaks = "DU-4"

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> SqliteStorageBackend:
        backend = _RecreatesTheDatabase(self.path, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend


class _ReadableByAll(JsonStore):
    def save(self, rows: Rows) -> None:
        temporary = self.path.with_name(f"{self.path.name}.new")
        temporary.write_bytes(self.text(rows))
        temporary.replace(self.path)


class ReadableByAll(JsonStoreHarness):
    """Creates its file with the default mode: 0644."""

    breaks = "DU-5"
    store = _ReadableByAll


class _KeepsALog(JsonStore):
    def save(self, rows: Rows) -> None:
        with self.path.with_name(f"{self.path.name}.log").open("ab") as log:
            log.write(self.text(rows) + b"\n")
        super().save(rows)


class KeepsALog(JsonStoreHarness):
    """Protects its file and not the log next to it, which holds the same tokens."""

    breaks = "DU-5"
    store = _KeepsALog


class _RemovesAgain(InMemoryBackend):
    async def init(self) -> None:
        for name in vars(self.store).setdefault("removed", []):
            self.store.rows.pop(name, None)
        await super().init()

    async def remove_session(self, identity: str, session_id: str) -> None:
        await super().remove_session(identity, session_id)
        vars(self.store)["removed"].append((identity, session_id))


class RemovesAgain(InMemoryHarness):
    """Keeps removals in a journal and replays it when it opens: a session created again since is removed too."""

    breaks = "DU-1"
    backend = _RemovesAgain


class _CopiesAtOpen(JsonStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if path.exists():
            shutil.copyfile(path, path.with_name(f"{path.name}.bak"))


class CopiesAtOpen(JsonStoreHarness):
    """Saves a copy before it begins, by a function that copies the content and not the mode."""

    breaks = "DU-5"
    store = _CopiesAtOpen


class _ClearsByAFreshFile(JsonStore):
    def save(self, rows: Rows) -> None:
        if rows or not self.path.exists():
            return super().save(rows)
        self.path.unlink()
        self.path.write_bytes(self.text(rows))
        return None


class ClearsByAFreshFile(JsonStoreHarness):
    """Deletes its file to clear it, and creates the new one with the default mode."""

    breaks = "DU-5"
    store = _ClearsByAFreshFile


class _HealsItself(JsonStore):
    def load(self) -> Rows:
        failed = self.path.with_name("failed")
        try:
            return super().load()
        except StorageSetupError:
            if not failed.exists():
                failed.touch()
                raise
        self.path.unlink()
        return {}


class HealsItself(JsonStoreHarness):
    """Refuses a damaged file once, and replaces it at the next start, so that no operator is needed."""

    breaks = "DU-4"
    store = _HealsItself
