"""Stores that interpret values, or lose large ones on a second code path (RT, ID)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData
from reference_backends.core.record import Record


def everywhere(change: Callable[[Any], Any], value: Any) -> Any:
    """Return the value with each value inside it changed, the innermost first."""
    if isinstance(value, dict):
        value = {key: everywhere(change, item) for key, item in value.items()}
    elif isinstance(value, list):
        value = [everywhere(change, item) for item in value]
    return change(value)


class _Reading(InMemoryBackend):
    """Base: converts a field's value when it is read."""

    def read(self, field: str, value: Any) -> Any:
        raise NotImplementedError

    def shown(self, record: Record) -> SessionData:
        return self.reread(super().shown(record))

    def reread(self, session: SessionData) -> SessionData:
        named = {field: value for field, value in vars(session).items() if field not in ("identity", "session_id")}
        return session.model_copy(update={field: self.read(field, value) for field, value in named.items()})


@broken("RT-3")
class ParsesWhatLooksLikeJson(_Reading):
    """Decodes any text in an object that begins like JSON, since some clients encode twice."""

    def read(self, field: str, value: Any) -> Any:
        return everywhere(self.parsed, value) if field in ("tokens", "client_information") else value

    @staticmethod
    def parsed(value: Any) -> Any:
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value


@broken("RT-3")
class UuidsInLowerCase(_Reading):
    """Stores a text that is a UUID in 16 bytes, and prints it in the usual form."""

    def read(self, field: str, value: Any) -> Any:
        try:
            return str(UUID(value)) if field in ("server_id", "client_id") and value else value
        except ValueError:
            return value


@broken("RT-3")
class TidiesUrls(_Reading):
    """Parses URLs, writes the host in lower case and leaves the default port out."""

    def read(self, field: str, value: Any) -> Any:
        if field not in ("server_url", "callback_url"):
            return value
        origin = r"(https?)://([^/?#]*?)(:443)?(?=[/?#]|$)"
        return re.sub(origin, lambda found: f"{found[1]}://{found[2]}".lower(), value, flags=re.IGNORECASE)


@broken("RT-3")
class NumberedKeysMakeAList(_Reading):
    """Passes JSON through a language whose arrays are maps: an object with the keys 0, 1, 2 becomes a list (PHP)."""

    def read(self, field: str, value: Any) -> Any:
        if field not in ("tokens", "client_information") or value is None:
            return value
        return {key: everywhere(self.listed, item) for key, item in value.items()}

    @staticmethod
    def listed(value: Any) -> Any:
        numbered = isinstance(value, dict) and value and [*value] == [str(number) for number in range(len(value))]
        return [*value.values()] if numbered else value


class _Listing(_Reading):
    """Base: the same in the listing alone."""

    def shown(self, record: Record) -> SessionData:
        return InMemoryBackend.shown(self, record)

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self.reread(each) for each in await super().get_identity_sessions_data(identity)]


@broken("ID-1")
class ListsShortTexts(_Listing):
    """Puts a listing together by ``GROUP_CONCAT``, which truncates silently."""

    def read(self, field: str, value: Any) -> Any:
        return value[:65_535] if isinstance(value, str) else value


@broken("ID-1")
class ListsWithoutNulls(_Listing):
    """Lets the database build the listing's JSON, by a function that strips nulls."""

    def read(self, field: str, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: everywhere(self.stripped, item) for key, item in value.items()}

    @staticmethod
    def stripped(value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class _Rewriting(InMemoryBackend):
    """Base: an update reads and writes again what it does not name."""

    def rewritten(self, value: Any) -> Any:
        raise NotImplementedError

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        merged = super().merged(record, named)
        return {field: value if field in named else self.rewritten(value) for field, value in merged.items()}


@broken("RT-4")
class UpdateCutsLongTexts(_Rewriting):
    """Copies the row for a trigger, in whose table texts are shorter."""

    def rewritten(self, value: Any) -> Any:
        return value[:65_535] if isinstance(value, str) and not value.startswith("enc:") else value


@broken("RT-4")
class UpdateFlattensWhatIsDeep(_Rewriting):
    """Decodes the row to update it, by a parser that stops at 32 levels."""

    def rewritten(self, value: Any, levels: int = 32) -> Any:
        if isinstance(value, dict):
            return {key: self.rewritten(item, levels - 1) for key, item in value.items()} if levels else None
        if isinstance(value, list):
            return [self.rewritten(item, levels - 1) for item in value] if levels else None
        return value


@broken("ID-6")
class StopsAtAMebibyte(InMemoryBackend):
    """Queries once, and the server ends a page at 1 MiB (DynamoDB), even after one session."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        page: list[SessionData] = []
        size = 0
        for session in await super().get_identity_sessions_data(identity):
            if size > 2**20:
                break
            page.append(session)
            size += len(session.model_dump_json())
        return page
