"""Stores that keep what is large, or many, in another way (EN-1, RT-3, ID-7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, Row, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData
from reference_backends.core.record import Record


class _Spilling(InMemoryBackend):
    """Base: keeps tokens of more than ``limit`` characters in a blob next to the row, and seals a pointer to it."""

    limit = 32_768

    def blobs(self) -> dict[str, Any]:
        found: dict[str, Any] = vars(self.store).setdefault("blobs", {})
        return found

    def spilled(self, record: Record, tokens: Any) -> Record:
        if tokens is None or len(json.dumps(tokens)) <= self.limit:
            return record
        pointer = f"blob {len(self.blobs())}"
        self.blobs()[pointer] = tokens
        return self._codec.updated(record, {"tokens": {"$blob": pointer}})

    def kept(self, session: SessionData) -> Record:
        return self.spilled(super().kept(session), session.tokens)

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return self.spilled(super().merged(record, named), named.get("tokens"))

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        pointer = (session.tokens or {}).get("$blob")
        return session.model_copy(update={"tokens": self.blobs()[pointer]}) if pointer in self.blobs() else session


class SpillsTheLargeInClear(InMemoryHarness):
    """Keeps tokens of more than 32 KiB in a blob next to the row, in clear, and seals the pointer."""

    breaks = "EN-1"
    backend = _Spilling

    async def stored_bytes(self) -> bytes:
        return await super().stored_bytes() + json.dumps(vars(self.store).get("blobs", {})).encode()


class _SpillsUpdates(_Spilling):
    limit = 200_000

    def kept(self, session: SessionData) -> Record:
        return InMemoryBackend.kept(self, session)


class SpillsLargeUpdatesInClear(InMemoryHarness):
    """The same above 200,000 characters, and in updates alone."""

    breaks = "EN-1"
    backend = _SpillsUpdates

    async def stored_bytes(self) -> bytes:
        return await super().stored_bytes() + json.dumps(vars(self.store).get("blobs", {})).encode()


class _Cutting(InMemoryBackend):
    """Base: ``cut`` is applied to tokens when they are read."""

    def cut(self, value: dict[str, Any]) -> dict[str, Any]:
        return value

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        return session if session.tokens is None else session.model_copy(update={"tokens": self.cut(session.tokens)})


@broken("RT-3")
class ThousandParameters(_Cutting):
    """Keeps the first thousand keys of an object and drops the rest (qs, PHP)."""

    def cut(self, value: dict[str, Any]) -> dict[str, Any]:
        return dict(list(value.items())[: 10**3])


@broken("RT-3")
class FiveThousandItems(_Cutting):
    """Keeps the first five thousand items of a list."""

    def cut(self, value: dict[str, Any]) -> dict[str, Any]:
        return {key: each[: 5 * 10**3] if isinstance(each, list) else each for key, each in value.items()}


@broken("ID-7")
class AllIdsStopAtTwoThousand(InMemoryBackend):
    """Lists all ids by a search that returns 2,000 at most."""

    async def get_all_session_ids(self) -> list[str]:
        return (await super().get_all_session_ids())[: 2 * 10**3]


@broken("EX-2")
class IndexesEndsOfAHundred(InMemoryBackend):
    """Checks the expiry of the first hundred rows of a listing, as a query with a limit does."""

    def of(self, rows: Rows, identity: str) -> dict[str, Row]:
        mine: dict[SessionKey, Row] = {name: row for name, row in rows.items() if name[0] == identity}
        first = dict(list(mine.items())[:100])
        live = {name: row for name, row in mine.items() if name not in first or self.live(rows, name)}
        return {name[1]: row for name, row in live.items()}
