"""Convert a session to a stored record and back. Secrets are sealed and opened here only.

A record is a plain ``dict`` of snake_case fields without the absent ones. Its secrets are either in clear (JSON
objects, text) or envelopes (text). Stores handle records and know nothing about keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from reference_backends.core.bounds import ENVELOPE_PREFIX
from reference_backends.core.errors import DecryptionError, InvalidSessionError, StorageError
from reference_backends.core.keyring import Keyring
from reference_backends.core.session import FIELDS, SessionData

Record = dict[str, Any]

CREDENTIALS = ("tokens", "headers")
"""Fields that are sealed as a whole if a key is set. In clear they are objects, so stored text is an envelope."""
SECRETS = (*CREDENTIALS, "code_verifier", "client_information")
"""The fields that may hold secrets."""

WIRE_NAMES: Mapping[str, str] = {field: to_camel(field) for field in FIELDS}
FIELD_NAMES: Mapping[str, str] = {wire: field for field, wire in WIRE_NAMES.items()}


class RecordCodec:
    """Seals and opens the secrets of records. Without a keyring secrets stay in clear.

    With ``seal_all`` also ``code_verifier`` and the ``client_secret`` in client information are sealed (EN-11). Set it
    to ``False`` if ``@mcp-ts/sdk`` reads the rows of the store: it opens tokens and headers only.
    """

    def __init__(self, keyring: Keyring | None, *, seal_all: bool = True) -> None:
        self._keyring = keyring
        self._seal_all = seal_all

    @property
    def seals(self) -> bool:
        """Whether a key is set."""
        return self._keyring is not None

    def record(self, session: SessionData) -> Record:
        """Return the record of a validated session. It shares the session's objects."""
        return self.seal_clear({field: value for field, value in session.__dict__.items() if value is not None})

    def seal_clear(self, record: Record) -> Record:
        """Return the record with every secret in clear sealed (MX-2, MX-5); ``None`` values stay.

        Return the record itself if there is nothing to seal.
        """
        if self._keyring is None or not (clear := self._in_clear(record)):
            return record
        sealed: Record = {field: self._keyring.seal(value) for field, value in clear.items()}
        if "client_secret" in sealed:
            secret = sealed.pop("client_secret")
            sealed["client_information"] = {**record["client_information"], "client_secret": secret}
        return {**record, **sealed}

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        """Return the record after an update: given fields replaced, ``None`` ones removed, secrets in clear sealed.

        Fields that are not a session's belong to another program and stay unchanged.
        """
        merged = {**record, **changes}
        return self._sealed_clear(
            {key: value for key, value in merged.items() if value is not None or key not in FIELDS}
        )

    def resealed(self, record: Record) -> Record:
        """Return the record with every secret sealed under the first key; the record itself if nothing changes.

        Raise :class:`DecryptionError` for a secret that no key opens.
        """
        fresh: Record = {}
        for field in CREDENTIALS:
            if record.get(field) is not None and not isinstance(record[field], dict):
                fresh[field] = self._resealed(record, field, record[field], dict)
        if _looks_sealed(record.get("code_verifier")):
            fresh["code_verifier"] = self._resealed(record, "code_verifier", record["code_verifier"], str)
        information = record.get("client_information")
        if isinstance(information, dict) and _looks_sealed(old := information.get("client_secret")):
            secret = self._resealed(record, "client_secret", old, object)
            fresh["client_information"] = information if secret is old else {**information, "client_secret": secret}
        changed = any(fresh[field] is not record[field] for field in fresh)
        return self._sealed_clear({**record, **fresh} if changed else record)

    def session(self, record: Mapping[str, Any]) -> SessionData:
        """Return the session in a record.

        Raise :class:`DecryptionError`, which names session and field, if a secret cannot be read, and
        :class:`StorageError` if the record is not that of a session.
        """
        try:
            return SessionData.model_validate(self._opened(record))
        except InvalidSessionError as error:
            reason = str(error)
        raise _damaged(record, reason)

    def validated_session(self, record: Record) -> SessionData:
        """Return the session in a record that only this process can have changed, without a second validation.

        Raise :class:`DecryptionError` if a secret cannot be read.
        """
        return SessionData.from_validated(self._opened(record))

    def _opened(self, record: Mapping[str, Any]) -> Record:
        """Return the fields of a session, with its secrets opened."""
        fields = {field: value for field, value in record.items() if value is not None and field in FIELDS}
        session_id = fields.get("session_id")
        for field in CREDENTIALS:
            if field in fields and not isinstance(fields[field], dict):
                fields[field] = self._open(session_id, field, fields[field], dict)
        if _looks_sealed(fields.get("code_verifier")):
            fields["code_verifier"] = self._open(session_id, "code_verifier", fields["code_verifier"], str)
        information = fields.get("client_information")
        if isinstance(information, dict) and _looks_sealed(information.get("client_secret")):
            secret = self._open(session_id, "client_secret", information["client_secret"], object)
            fields["client_information"] = {**information, "client_secret": secret}
        return fields

    def _sealed_clear(self, record: Record) -> Record:
        """Return :meth:`seal_clear` of a stored record. Raise :class:`StorageError` if it cannot be sealed."""
        try:
            return self.seal_clear(record)
        except InvalidSessionError as error:
            reason = str(error)
        raise _damaged(record, reason)

    def _resealed(self, record: Record, field: str, stored: Any, kind: type) -> Any:
        """Return the envelope itself if the first key opens it, else a new one."""
        if self._keyring is None or self._keyring.is_current(stored):
            return stored
        return self._keyring.seal(self._open(record.get("session_id"), field, stored, kind))

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        if self._keyring is None:
            reason = "no encryption key is set" if _looks_sealed(stored) else "it is neither an object nor an envelope"
        else:
            try:
                value = self._keyring.open(stored)
            except DecryptionError as error:
                reason = str(error)
            else:
                if isinstance(value, kind):
                    return value
                reason = "its content has another type"
        raise DecryptionError(f"{field} of session {session_id!r} cannot be decrypted: {reason}", session_id=session_id)

    def _in_clear(self, record: Record) -> Record:
        """Return the secrets in clear that must be sealed, by field; ``client_secret`` is in client information."""
        found = {field: record[field] for field in CREDENTIALS if isinstance(record.get(field), dict)}
        if self._seal_all:
            information = record.get("client_information")
            held = information if isinstance(information, dict) else {}
            secrets = {"code_verifier": record.get("code_verifier"), "client_secret": held.get("client_secret")}
            found |= {name: value for name, value in secrets.items() if value is not None and not _looks_sealed(value)}
        return found


def to_wire(record: Record) -> Record:
    """Return the record under camelCase names. Names that are not a session's stay unchanged."""
    return {WIRE_NAMES.get(field, field): value for field, value in record.items()}


def from_wire(row: Mapping[str, Any]) -> Record:
    """Return the record of a camelCase row. Names that are not a session's stay unchanged."""
    return {FIELD_NAMES.get(name, name): value for name, value in row.items()}


def _looks_sealed(value: object) -> bool:
    return isinstance(value, str) and value.startswith(ENVELOPE_PREFIX)


def _damaged(record: Mapping[str, Any], reason: str) -> StorageError:
    return StorageError(f"the stored session {record.get('session_id')!r} is damaged: {reason}")
