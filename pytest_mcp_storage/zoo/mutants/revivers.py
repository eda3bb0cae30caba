"""Stores that take a value for something else: an object of theirs, a date, an envelope, a text (RT-3)."""

from __future__ import annotations

import base64
from typing import Any

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend
from pytest_mcp_storage.zoo.mutant import broken
from pytest_mcp_storage.zoo.mutants.decoding import everywhere
from reference_backends import SessionData
from reference_backends.core.record import Record

TEXTS = ("server_id", "server_name", "server_url", "callback_url", "client_id")


class _Reviving(InMemoryBackend):
    """Base: ``revived`` is applied to every value inside of tokens and client information when they are read."""

    def revived(self, value: Any) -> Any:
        return value

    def shown(self, record: Record) -> SessionData:
        session = super().shown(record)
        fields = {f: getattr(session, f) for f in ("tokens", "client_information")}
        new = {f: everywhere(value, self.revived) for f, value in fields.items() if value is not None}
        return session.model_copy(update=new)


@broken("RT-3")
class RevivesConstructors(_Reviving):
    """Marks its objects in band: an object with the two keys of that mark is read as its arguments (langgraphjs)."""

    def revived(self, value: Any) -> Any:
        if isinstance(value, dict) and value.get("lc") == 1 and value.get("type") == "constructor":
            return value.get("kwargs", {})
        return value


@broken("RT-3")
class RevivesDates(_Reviving):
    """Reads extended JSON: ``{"$date": …}`` is a moment (MongoDB)."""

    def revived(self, value: Any) -> Any:
        return value["$date"] if isinstance(value, dict) and set(value) == {"$date"} else value


@broken("RT-3")
class RevivesBuffers(_Reviving):
    """Reads ``{"type": "Buffer", "data": […]}`` as bytes, which it returns in base64 (Node)."""

    def revived(self, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type") == "Buffer" and isinstance(value.get("data"), list):
            return {"type": "Buffer", "data": base64.b64encode(bytes(each & 255 for each in value["data"])).decode()}
        return value


@broken("RT-3")
class ReadsAttributes(_Reviving):
    """Reads ``{"S": …}`` and ``{"NULL": true}`` as its own type marks (DynamoDB)."""

    def revived(self, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1 and {"S", "NULL"} & set(value):
            return value.get("S")
        return value


@broken("RT-3")
class TextIsUndefined(_Reviving):
    """Writes a missing value as the text ``undefined``, and reads it so."""

    def revived(self, value: Any) -> Any:
        return None if value == "undefined" else value


@broken("RT-3")
class TakesTextForAnEnvelope(InMemoryBackend):
    """Decrypts every text column that begins like an envelope, as the upstream stores do."""

    def shown(self, record: Record) -> SessionData:
        for column in TEXTS:
            if str(record.get(column, "")).startswith("enc:1:"):
                self._codec.session({**record, "tokens": record[column]})
        return super().shown(record)


@broken("RT-3")
class TakesAnyTextForAnEnvelope(InMemoryBackend):
    """Decrypts each text inside of client information that begins like an envelope."""

    def shown(self, record: Record) -> SessionData:
        def opened(value: Any) -> Any:
            if isinstance(value, str) and value.startswith("enc:"):
                self._codec.session({**record, "tokens": value})
            return value

        session = super().shown(record)
        everywhere(opened, session.client_information or {})
        return session


@broken("RT-3")
class ClientSecretIsText(InMemoryBackend):
    """Seals a ``client_secret`` by way of ``str``: a number, ``true`` or an object comes back as text."""

    def kept(self, session: SessionData) -> Record:
        return super().kept(session.model_copy(update=_with_text_secret(session.client_information)))


@broken("RT-3")
class InnerClientSecretIsText(InMemoryBackend):
    """The same for a ``client_secret`` at any depth."""

    def kept(self, session: SessionData) -> Record:
        def texted(value: Any) -> Any:
            secret = value.get("client_secret") if isinstance(value, dict) else None
            return value if secret is None or isinstance(secret, str) else {**value, "client_secret": str(secret)}

        information = session.client_information
        outer = {} if information is None else {key: everywhere(each, texted) for key, each in information.items()}
        return super().kept(session.model_copy(update={"client_information": information and outer}))


def _with_text_secret(information: dict[str, Any] | None) -> dict[str, Any]:
    secret = (information or {}).get("client_secret")
    if secret is None or isinstance(secret, str):
        return {}
    return {"client_information": {**(information or {}), "client_secret": str(secret)}}
