"""Stores that encrypt carelessly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.json_store import JsonStoreHarness
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.sealing import Ring, broken_codec, broken_ring
from reference_backends import Clock, ConfigurationError, DecryptionError, Keyring, SessionData, SessionUpdate
from reference_backends.core.record import CREDENTIALS, Record, RecordCodec

# -- EN-5 to EN-7: what can't be read ---------------------------------------------------------------------------------


@broken_codec("EN-5", "EN-4", "EN-7")
class HandsOutTheEnvelope(RecordCodec):
    """Returns an envelope that it could not decrypt as the value."""

    def session(self, record: Mapping[str, Any]) -> SessionData:
        try:
            return super().session(record)
        except DecryptionError:
            return SessionData.model_construct(**dict(record))


@broken_codec("EN-5", "EN-4", "EN-7")
class ReadsNothing(RecordCodec):
    """Returns a session without tokens if they can't be decrypted: the user only has to sign in again."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        try:
            return super()._open(session_id, field, stored, kind)
        except DecryptionError:
            return None


@broken_codec("EN-5")
class NeedsNoKey(RecordCodec):
    """Leaves secrets out if no key is set, so that tools which list sessions need none."""

    def _open(self, session_id: Any, field: str, stored: Any, kind: type) -> Any:
        return None if self._keyring is None else super()._open(session_id, field, stored, kind)


@broken_codec("EN-5")
class TrustsTheVerifier(RecordCodec):
    """Checks that tokens and headers could be decrypted, and not the verifier, which a later version sealed."""

    def session(self, record: Mapping[str, Any]) -> SessionData:
        try:
            return super().session(record)
        except DecryptionError:
            if self._keyring is None:
                raise
            rest = {field: value for field, value in record.items() if field != "code_verifier"}
            return super().session(rest).model_copy(update={"code_verifier": record.get("code_verifier")})


@broken("EN-6")
class RemovesWhatItCannotRead(InMemoryBackend):
    """Removes a session that it can't decrypt: it must be damaged, and the user can sign in again."""

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        try:
            return await super().get_session(identity, session_id)
        except DecryptionError:
            await self.remove_session(identity, session_id)
            raise


@broken_codec("EN-6", "EN-9")
class SealsTheEnvelope(RecordCodec):
    """Reads, changes and writes back with the wrong key: the envelope, which it could not open, is sealed once more."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        if self._keyring is None:
            return super().updated(record, changes)
        read = dict(record)
        for field in CREDENTIALS:
            if isinstance(record.get(field), str) and field not in changes:
                try:
                    read[field] = self._keyring.open(record[field])
                except DecryptionError:
                    read[field] = self._keyring.seal(record[field])
        return super().updated(read, changes)


@broken("EN-6")
class SealsAnyText(InMemoryBackend):
    """Seals any value of an update: an envelope that a wrong key returned and a caller wrote back is sealed twice."""

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        texts = {field: value for field, value in changes.items() if field in CREDENTIALS and isinstance(value, str)}
        rest: Any = {field: value for field, value in changes.items() if field not in texts}
        await super().update_session(identity, session_id, rest, ttl)
        keyring = self._codec._keyring
        sealed = {field: keyring.seal(text) if keyring else text for field, text in texts.items()}

        def seal(rows: Rows) -> None:
            row = rows[identity, session_id]
            rows[identity, session_id] = row._replace(record={**row.record, **sealed})

        await self.call(seal)


@broken("EN-7")
class ListsWhatItCanRead(InMemoryBackend):
    """Leaves out of a listing what it can't decrypt, so that one bad row spoils nothing."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        found = []
        for session_id in await self.get_identity_mcp_sessions(identity):
            try:
                session = await self.get_session(identity, session_id)
            except DecryptionError:
                continue
            found += [session] if session else []
        return found


@broken("EN-7")
class NamesNoSession(InMemoryBackend):
    """Says that a listing can't be decrypted, and not which session."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        try:
            return await super().get_identity_sessions_data(identity)
        except DecryptionError:
            raise DecryptionError("a session can't be decrypted") from None


@broken("EN-7")
class NamesTheWrongSession(InMemoryBackend):
    """Decrypts a listing at one go and names the session that it ended with."""

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        try:
            return await super().get_identity_sessions_data(identity)
        except DecryptionError:
            rows = await self.call(lambda rows: self.of(rows, identity))
            last = [*rows][-1]
        raise DecryptionError("a session can't be decrypted", session_id=last)


@broken("EN-7", "MX-3")
class IdsOfWhatItCanRead(InMemoryBackend):
    """Makes the list of ids from the listing: one session that can't be decrypted, and none can be found to remove."""

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [session.session_id for session in await self.get_identity_sessions_data(identity)]


@broken("EN-7")
class AllIdsOfWhatItCanRead(InMemoryBackend):
    """Parses every row into a session to list all ids, and fails at the first that it can't decrypt."""

    async def get_all_session_ids(self) -> list[str]:
        rows = await self.call(lambda rows: [row for name, row in rows.items() if self.live(rows, name)])
        return [self.shown(row.record).session_id for row in rows]


# -- EN-8: what passes for a key --------------------------------------------------------------------------------------


@broken_ring("EN-8")
class PadsKeys(Ring):
    """Cuts or pads any text to 32 bytes, so that every passphrase will do."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        spelled = [keys] if isinstance(keys, str) else keys
        return [_bytes_of(key) or key.encode()[:32].ljust(32, b"\0") for key in spelled]


@broken_ring("EN-8")
class StripsKeys(Ring):
    """Takes a key with a line feed at its end, as files have it, by an expression that ends in a dollar sign."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        return super().parsed(keys.rstrip("\n") if isinstance(keys, str) else [key.rstrip("\n") for key in keys])


@broken_ring("EN-8")
class LooksAtTheFirstKey(Ring):
    """Checks the key that it writes with, and leaves out old ones that make no sense."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        first, *more = [keys] if isinstance(keys, str) else keys
        return [*super().parsed(first), *filter(None, map(_bytes_of, more))]


@broken_ring("EN-8")
class LooksAtBothEnds(Ring):
    """Checks the newest key and the oldest, and leaves out what makes no sense in between."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        first, *more = [keys] if isinstance(keys, str) else keys
        between = filter(None, map(_bytes_of, more[:-1]))
        return [*super().parsed(first), *between, *(super().parsed(more[-1]) if more else [])]


@broken_ring("EN-8")
class TakesNoCapitals(Ring):
    """Asks for hexadecimal digits in lower case."""

    def parsed(self, keys: str | Sequence[str]) -> list[bytes]:
        if any(key != key.lower() for key in ([keys] if isinstance(keys, str) else keys)):
            raise ConfigurationError("a key must be in lower case")
        return super().parsed(keys)


class PlainForABadKey(JsonStoreHarness):
    """Logs that the key is bad and goes on without: everything is stored in clear (upstream's Supabase store)."""

    breaks = "EN-8"

    async def open(  # type: ignore[override]
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        try:
            return await super().open(encryption_key=encryption_key, clock=clock, default_ttl=default_ttl)
        except ConfigurationError:
            return await super().open(clock=clock, default_ttl=default_ttl)


def _bytes_of(key: str) -> bytes | None:
    try:
        found = bytes.fromhex(key)
    except ValueError:
        return None
    return found if len(found) == 32 else None


# -- EN-9, EN-11: what is forgotten -----------------------------------------------------------------------------------


@broken_codec("EN-9")
class OpensToUpdate(RecordCodec):
    """Reads, changes and writes back, and seals only what the update names."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        if self._keyring is None:
            return super().updated(record, changes)
        named = self.seal_clear(dict(changes))
        opened = {
            field: self._open(record.get("session_id"), field, value, dict)
            if field in CREDENTIALS and isinstance(value, str)
            else value
            for field, value in record.items()
        }
        return {field: value for field, value in {**opened, **named}.items() if value is not None}


@broken_codec("EN-9")
class LosesWhatItCannotOpen(RecordCodec):
    """Writes back what it could read: without the key, a session without its secrets."""

    def updated(self, record: Record, changes: Mapping[str, Any]) -> Record:
        readable = self._keyring is not None or not any(isinstance(record.get(field), str) for field in CREDENTIALS)
        kept = record if readable else {field: value for field, value in record.items() if field not in CREDENTIALS}
        return super().updated(kept, changes)


@broken_codec("EN-11")
class SealsCredentialsAlone(RecordCodec):
    """Encrypts tokens and headers, and leaves code_verifier and client_secret for others to read."""

    def __init__(self, keyring: Keyring | None) -> None:
        super().__init__(keyring, seal_all=False)


@broken_codec("EN-11")
class SealsWholeFieldsAlone(RecordCodec):
    """Encrypts by column, code_verifier too, and does not look for a secret inside of client information."""

    def _in_clear(self, record: Record) -> Record:
        found = super()._in_clear(record)
        found.pop("client_secret", None)
        return found
