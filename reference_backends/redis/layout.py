"""The layout of a session in Redis: its keys, and its record as the fields of a hash.

With the prefix ``mcp-storage``, the session ``S1`` of ``alice`` is the hash ``mcp-storage:{alice}:session:S1``. The
sorted set ``mcp-storage:{alice}:sessions`` is the index: it holds the ids of all her sessions by expiry. Names are
percent-encoded, so they cannot contain the separators of a key (ID-3). The braces are the hash tag of Redis Cluster:
all keys of one identity share a slot, and only store-wide calls use keys of two identities.

A field of the hash is a field of the session. Text is stored unchanged. Objects, numbers and truth values are stored
as JSON, and an envelope in place of an object as a JSON string. Two more fields are ``expires_at`` (milliseconds
since the epoch) and, if a key was set, ``sealed``: the hash holds no secret in clear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from reference_backends.core import strict_json
from reference_backends.core.errors import ConfigurationError, DecryptionError
from reference_backends.core.record import SECRETS, Record
from reference_backends.core.session import FIELDS, IDENTIFYING

EXPIRES_AT = b"expires_at"
SEALED = b"sealed"


class Keys:
    """The keys under a prefix. Raises :class:`ConfigurationError` for a prefix that would break the hash tag."""

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str) or not re.fullmatch(r"[^{}\s\0]+", prefix):
            raise ConfigurationError("prefix must be text, not empty, without white space and braces")
        self._prefix = f"{prefix}:{{"
        everything = re.sub(r"([*?\[\]\\^-])", r"\\\1", self._prefix)
        self.indexes = f"{everything}*}}:sessions".encode()
        """The pattern of every index, for SCAN."""
        self.everything = f"{everything}*}}:session*".encode()
        """The pattern of every key of the store."""

    @property
    def context(self) -> list[bytes]:
        """A hash and an index that no session can have: a percent-encoded identity is never a single percent sign."""
        return [f"{self._prefix}%}}:session:".encode(), f"{self._prefix}%}}:sessions".encode()]

    def index(self, identity: str) -> bytes:
        """Return the key of the index of an identity."""
        return f"{self._prefix}{quote(identity, safe='')}}}:sessions".encode()

    def session(self, identity: str, member: bytes) -> bytes:
        """Return the key of the hash of a session. ``member`` is its name in the index."""
        return f"{self._prefix}{quote(identity, safe='')}}}:session:".encode() + member


def identity(index: bytes) -> str:
    """Return the identity that an index belongs to."""
    return unquote_to_bytes(index[index.rindex(b"{") + 1 : index.rindex(b"}")]).decode(errors="surrogateescape")


def index_of_key(key: bytes) -> bytes:
    """Return the key of the index of the identity that ``key`` belongs to."""
    return key[: key.rindex(b"}") + 1] + b":sessions"


def member(session_id: str) -> bytes:
    """Return a session id as a member of the index. The key of the hash ends with it."""
    return quote(session_id, safe="").encode()


def session_id(member: bytes) -> str:
    """Return the session id of a member of an index."""
    return unquote_to_bytes(member).decode(errors="surrogateescape")


def fields(record: Mapping[str, Any]) -> list[bytes]:
    """Return the record's fields as HSET takes them. The key holds identity and session id."""
    flat: list[bytes] = []
    for name, value in record.items():
        if name not in IDENTIFYING:
            flat += (name.encode(), (strict_json.encode(value) if name in _KINDS else value).encode())
    return flat


def record(identity: str, session_id: str, stored: Mapping[bytes, bytes]) -> Record:
    """Return the record in a hash. A value that :func:`fields` did not write stays text, which the codec refuses."""
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
    """Return session id and hash of a row from a script: member, number of parts, and the parts, separated by NULs.

    No session, envelope or JSON holds a NUL. Raise :class:`DecryptionError` if the number of parts shows one.
    """
    member, count, *parts = packed.split(b"\0")
    if int(count) != len(parts):
        name = session_id(member)
        raise DecryptionError(f"session {name!r} was changed: a stored field holds a NUL character", session_id=name)
    return session_id(member), dict(zip(parts[::2], parts[1::2], strict=True))


def is_live(stored: Mapping[bytes, bytes], now_ms: int) -> bool:
    """Return whether the session in a hash has not expired."""
    expiry = _number(stored.get(EXPIRES_AT, b""))
    return isinstance(expiry, int) and now_ms < expiry


def names(packed: Iterable[bytes]) -> list[str]:
    """Return the session ids of members that a script joined by NULs, one text for each index."""
    return [session_id(member) for joined in packed if joined for member in joined.split(b"\0")]


def _text(value: bytes) -> str:
    return str(value, "utf-8", "surrogateescape")


def _object(value: bytes) -> Any:
    """Return an object or an envelope; for anything else the text, which the codec refuses."""
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
