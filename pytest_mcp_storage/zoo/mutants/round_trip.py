"""Stores that alter what they keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from errno import ENAMETOOLONG
from typing import Any

from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import SessionData, StorageError
from reference_backends.core.record import Record


def _mapped(value: Any, change: Any) -> Any:
    """Return the value with ``change`` applied to every leaf and key."""
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)


class _Altering(InMemoryBackend):
    """Base: ``altered`` is done to what is read."""

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        return SessionData.model_construct(**self.altered(dict(session.__dict__)))

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return fields


@broken("RT-1")
class ForgetsServerName(_Altering):
    """Lists its columns by hand, and the newest one is missing."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "server_name": None}


@broken("RT-1")
class SwapsUrls(_Altering):
    """Reads columns by position after the table's order has changed."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "server_url": fields["callback_url"], "callback_url": fields["server_url"]}


@broken("RT-1")
class OnlyKnowsSse(_Altering):
    """Has the transport type as a constant, from a version with only one."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "transport_type": "sse"}


@broken("RT-2")
class DefaultsActiveToFalse(_Altering):
    """Declares the column ``boolean default false``: None comes back as False."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "active": bool(fields["active"])}


@broken("RT-2")
class DropsEmptyObjects(_Altering):
    """Writes ``tokens or None``, and an empty object is falsy."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value if value or value is False or value == 0 else None for name, value in fields.items()}


@broken("RT-2")
class FillsAbsentHeaders(_Altering):
    """Gives absent headers a default, so that callers need not check."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "headers": fields["headers"] or {}}


@broken("RT-2")
class EmptyTextIsNull(_Altering):
    """Maps empty text to null, as Oracle does."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            name: None if value == "" and name in ("server_id", "client_id") else value
            for name, value in fields.items()
        }


@broken("RT-3")
class NormalisesText(_Altering):
    """Normalises text to NFC, as a well-meaning library does."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        import unicodedata

        def change(value: Any) -> Any:
            return unicodedata.normalize("NFC", value) if isinstance(value, str) else value

        return {name: _mapped(value, change) for name, value in fields.items()}


@broken("RT-3")
class KeepsFourteenDigits(_Altering):
    """Prints numbers with 14 digits, as Lua's cjson does."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return float(f"{value:.14g}") if is_number else value

        return {**fields, "tokens": _mapped(fields["tokens"], change)}


@broken("RT-3")
class EmptyListsBecomeObjects(_Altering):
    """Passes JSON through a language whose tables are lists and objects alike."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            if isinstance(value, list):
                return [change(item) for item in value] or {}
            return {key: change(item) for key, item in value.items()} if isinstance(value, dict) else value

        return {**fields, "client_information": change(fields["client_information"])}


@broken("RT-3")
class DropsProto(_Altering):
    """Copies objects key by key in JavaScript, in which ``__proto__`` is not a key."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            if isinstance(value, list):
                return [change(item) for item in value]
            if isinstance(value, dict):
                return {key: change(item) for key, item in value.items() if key != "__proto__"}
            return value

        return {**fields, "tokens": change(fields["tokens"])}


@broken("RT-3")
class StripsText(_Altering):
    """Strips white space from everything, since it came from a form once."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value.strip() if name == "server_name" and value else value for name, value in fields.items()}


@broken("RT-3")
class BasicPlaneOnly(_Altering):
    """Keeps text in a column of three-byte characters (MySQL's utf8): emoji become question marks."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            return "".join(each if each < "\U00010000" else "?" for each in value) if isinstance(value, str) else value

        return {**fields, "tokens": _mapped(fields["tokens"], change)}


@broken("RT-3")
class IntegersOnly(_Altering):
    """Takes every number for a count of seconds."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            return int(value) if isinstance(value, float) else value

        return {**fields, "tokens": _mapped(fields["tokens"], change)}


@broken("RT-3")
class TrueIsOne(_Altering):
    """Stores JSON in a format that knows no booleans."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            return int(value) if isinstance(value, bool) else value

        return {**fields, "client_information": _mapped(fields["client_information"], change)}


@broken("RT-3")
class NamesInBytes(InMemoryBackend):
    """Makes a file of each session, named by its id; a file's name has 255 bytes, not characters."""

    def key(self, identity: str, session_id: str) -> SessionKey:
        if len(session_id.encode()) > 255:
            raise OSError(ENAMETOOLONG, "File name too long")
        return super().key(identity, session_id)


@broken("RT-3")
class CutsHeaders(_Altering):
    """Keeps headers in a column of 4,000 characters, which cuts a long cookie without a word."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        headers = fields["headers"]
        return {**fields, "headers": headers and {name: value[:4000] for name, value in headers.items()}}


@broken("RT-3")
class CutsUrls(_Altering):
    """Declares its URLs ``varchar(255)``."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "server_url": fields["server_url"][:255]}


@broken("RT-3")
class LowersHeaderNames(_Altering):
    """Folds the names of headers, as HTTP allows; two that differ in case become one."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        headers = fields["headers"]
        return {**fields, "headers": headers and {name.lower(): value for name, value in headers.items()}}


@broken("RT-3")
class DropsNulls(_Altering):
    """Leaves out nulls at every depth, as ``exclude_none`` does."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        def change(value: Any) -> Any:
            if isinstance(value, list):
                return [change(item) for item in value]
            if isinstance(value, dict):
                return {key: change(item) for key, item in value.items() if item is not None}
            return value

        return {**fields, "client_information": change(fields["client_information"])}


@broken("RT-3")
class OneKindOfNewline(_Altering):
    """Writes text by way of a file in text mode: carriage returns are gone."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        verifier = fields["code_verifier"]
        return {**fields, "code_verifier": verifier and verifier.replace("\r\n", "\n").replace("\r", "\n")}


@broken("RT-3")
class NestsThirtyTwoDeep(_Altering):
    """Passes JSON through a parser that stops at 32 levels and drops what is deeper."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "tokens": _cut(fields["tokens"], 32)}


@broken("RT-3")
class ListsThirtyTwoDeep(InMemoryBackend):
    """Reads one session itself, and lets such a parser put a listing together."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = await super().get_identity_sessions_data(identity)
        return [session.model_copy(update={"tokens": _cut(session.tokens, 32)}) for session in found]


def _cut(value: Any, levels: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item, levels - 1) for key, item in value.items()} if levels else None
    if isinstance(value, list):
        return [_cut(item, levels - 1) for item in value] if levels else None
    return value


@broken("RT-4")
class ReencodesOnUpdate(InMemoryBackend):
    """Decodes the whole session to change one field, and writes numbers back shorter than it found them."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        def change(value: Any) -> Any:
            return float(f"{value:.6g}") if isinstance(value, float) else value

        kept = {
            name: _mapped(value, change) if name == "client_information" else value for name, value in record.items()
        }
        return super().merged(kept, named)


@broken("RT-4")
class UpdateResetsTheRest(InMemoryBackend):
    """Writes an update as a whole row, with nulls for what was not named."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {"server_name": None, "client_id": None, **named})


@broken("RT-4")
class OneUpdateForAllSecrets(InMemoryBackend):
    """Seals headers and tokens in one blob, and makes it of the update alone."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        return super().merged(record, {"tokens": None, **named} if "headers" in named else named)


@broken("RT-4")
class UpdateDropsTheFalsy(InMemoryBackend):
    """Writes the merged session with what is falsy left out."""

    def merged(self, record: Record, named: Mapping[str, Any]) -> Record:
        kept = {name: value for name, value in record.items() if value or name not in ("active", "server_name")}
        return super().merged(kept, named)


@broken("RT-5")
class CutsAtTheColumn(InMemoryBackend):
    """Sends the session in a request that a proxy cuts at 1 MiB, and answers as if it had gone through."""

    def kept(self, session: SessionData) -> Record:
        record = super().kept(session)
        return {name: value for name, value in record.items() if len(json.dumps(value)) < 512 * 1024}


@broken("RT-5")
class PutsItIntoOneItem(InMemoryBackend):
    """Keeps a session in one item of a database that takes 400 KB an item, and lets it refuse the rest."""

    def kept(self, session: SessionData) -> Record:
        record = super().kept(session)
        if len(json.dumps(record)) > 400_000:
            raise StorageError("item size has exceeded the maximum allowed size")
        return record


@broken("RT-7")
class SecondsOrMilliseconds(_Altering):
    """Guesses the unit by the size: what is small must be seconds."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        moment = fields["created_at"]
        return {**fields, "created_at": moment * 1000 if 0 < moment < 10**8 else moment}


@broken("RT-7")
class ZeroMeansNow(_Altering):
    """Writes ``created_at or now()``, and 0 is falsy."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "created_at": fields["created_at"] or 1_700_000_000_000}


@broken("RT-7")
class KeepsWholeSeconds(_Altering):
    """Stores a timestamp without its fraction."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "created_at": fields["created_at"] // 1000 * 1000}


@broken("RT-7")
class ThirtyTwoBitTimes(_Altering):
    """Keeps seconds in 32 bits: after January 2038 they wrap round."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "created_at": fields["created_at"] % (2**31 * 1000)}


@broken("RT-7")
class LocalTime(_Altering):
    """Writes a naive local time and reads it back as UTC."""

    def altered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "created_at": max(0, fields["created_at"] - 3_600_000)}
