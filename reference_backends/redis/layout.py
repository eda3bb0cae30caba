"""Where a session lies in Redis, and how: its keys, and its record as the fields of a hash.

With the prefix ``mcp-storage``, the session ``S1`` of ``alice`` is the hash ``mcp-storage:{alice}:session:S1``, and
the sorted set ``mcp-storage:{alice}:sessions`` holds the ids of all her sessions by the moment of their expiry.
Names are percent-encoded, so that none of them can hold what parts a key (ID-3). The braces are Redis Cluster's hash
tag: all keys of one identity share a slot, and no call but the store-wide ones touches two identities.

A field of the hash is the session's field: text as it is, objects, numbers and truth values as JSON, an envelope in
an object's place as a JSON string. Beside them lie ``expires_at`` (milliseconds since the epoch) and, where a key was
set, ``sealed``: no secret lies here in clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from reference_backends.core import strict_json
from reference_backends.core.errors import ConfigurationError, DecryptionError
from reference_backends.core.record import Record
from reference_backends.core.session import FIELDS, IDENTIFYING

EXPIRES_AT = b"expires_at"
SEALED = b"sealed"

SECRETS = ("tokens", "headers", "code_verifier", "client_information")
"""The fields that may hold secrets."""


class Keys:
    """The keys under a prefix. Raises :class:`ConfigurationError` for a prefix that would break the hash tag."""

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not re.fullmatch(r"[^{}\s\0]+", prefix):
            raise ConfigurationError("the key prefix must be text without white space and without braces")
        self._prefix = f"{prefix}:{{"
        everything = re.sub(r"([*?\[\]\\^-])", r"\\\1", self._prefix)
        self.indexes = f"{everything}*}}:sessions".encode()
        """The pattern, for SCAN, of every index."""
        self.everything = f"{everything}*}}:session*".encode()
        """The pattern of every key of the store."""

    @property
    def context(self) -> list[bytes]:
        """A hash and an index that no session can have: a quoted identity is never a percent sign alone."""
        return [f"{self._prefix}%}}:session:".encode(), f"{self._prefix}%}}:sessions".encode()]

    def index(self, identity: str) -> bytes:
        """The sorted set of an identity's sessions."""
        return f"{self._prefix}{quote(identity, safe='')}}}:sessions".encode()

    def session(self, identity: str, member: bytes) -> bytes:
        """The hash of a session; ``member`` names it in the index."""
        return f"{self._prefix}{quote(identity, safe='')}}}:session:".encode() + member


def identity(index: bytes) -> str:
    """Return the identity that an index belongs to."""
    return unquote_to_bytes(index[index.rindex(b"{") + 1 : index.rindex(b"}")]).decode(errors="surrogateescape")


def index_beside(key: bytes) -> bytes:
    """The index of the identity that any of its keys belongs to."""
    return key[: key.rindex(b"}") + 1] + b":sessions"


def member(session_id: str) -> bytes:
    """A session id as its index holds it, and its key ends with it."""
    return quote(session_id, safe="").encode()


def session_id(member: bytes) -> str:
    """The session id that a member of an index stands for."""
    return unquote_to_bytes(member).decode(errors="surrogateescape")


def fields(record: Mapping[str, Any]) -> list[bytes]:
    """The record's fields as HSET takes them; identity and session id are left to the key."""
    flat: list[bytes] = []
    for name, value in record.items():
        if name not in IDENTIFYING:
            flat += (name.encode(), (strict_json.encode(value) if name in _KINDS else value).encode())
    return flat


def record(identity: str, session_id: str, stored: Mapping[bytes, bytes]) -> Record:
    """The record in a hash. What is not as :func:`fields` writes it stays text, which the codec refuses."""
    record: Record = {"identity": identity, "session_id": session_id}
    for stored_name, value in stored.items():
        known = _READERS.get(stored_name)
        if known is not None:
            name, read = known
            record[name] = read(value)
    return record


def secrets(identity: str, session_id: str, stored: Mapping[bytes, bytes]) -> Record:
    """Return the part of the record in a hash that may hold secrets."""
    held = {name.encode() for name in SECRETS}
    return record(identity, session_id, {name: value for name, value in stored.items() if name in held})


def unpack(packed: bytes) -> tuple[str, dict[bytes, bytes]]:
    """Session id and hash of a row as the scripts pack it: member, number of parts, and the parts, between NULs.

    No session, no envelope and no JSON holds a NUL. Raises :class:`DecryptionError` where the number shows one.
    """
    member, count, *parts = packed.split(b"\0")
    if int(count) != len(parts):
        name = session_id(member)
        raise DecryptionError(f"session {name!r} was altered: a stored field holds a NUL character", session_id=name)
    return session_id(member), dict(zip(parts[::2], parts[1::2], strict=True))


def is_live(stored: Mapping[bytes, bytes], now_ms: int) -> bool:
    """Whether the session in a hash is still served."""
    expiry = _number(stored.get(EXPIRES_AT, b""))
    return isinstance(expiry, int) and now_ms < expiry


def names(packed: Iterable[bytes]) -> list[str]:
    """The session ids in members that the scripts joined by NULs, a text for each index."""
    return [session_id(member) for joined in packed if joined for member in joined.split(b"\0")]


def _text(value: bytes) -> str:
    return str(value, "utf-8", "surrogateescape")


def _object(value: bytes) -> Any:
    """An object or an envelope; of anything else the text, which the codec refuses."""
    text = _text(value)
    try:
        parsed = strict_json.decode(text)
    except (ValueError, RecursionError):
        return text
    return parsed if isinstance(parsed, (dict, str)) else text


def _number(value: bytes) -> int | str:
    return int(value) if value.isdigit() and len(value) < 20 else _text(value)


def _truth(value: bytes) -> bool | str:
    return _text(value) if value not in (b"true", b"false") else value == b"true"


_KINDS: dict[str, Callable[[bytes], Any]] = {
    "tokens": _object,
    "headers": _object,
    "client_information": _object,
    "created_at": _number,
    "active": _truth,
}
_READERS = {name.encode(): (name, _KINDS.get(name, _text)) for name in FIELDS - IDENTIFYING}
