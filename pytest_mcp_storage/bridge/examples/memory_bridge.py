"""A bridge of one file: a store in memory behind the protocol of docs/bridge-protocol.md.

It uses only Python's standard library, and nothing of pytest-mcp-storage. Read it before you write a bridge in
another language. Its only capability is CLOCK.
"""

import json
import math
import secrets
import string
import sys
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

LARGEST = 2**53 - 1
LATEST_MOMENT = 253402300799999
LONGEST_TTL = 3_155_760_000
DEFAULT_TTL = 43_200
NAMES = {"sessionId", "identity"}
REQUIRED = NAMES | {"serverUrl", "transportType", "callbackUrl", "createdAt"}
TEXTS = {"serverId", "serverName", "serverUrl", "transportType", "callbackUrl", "codeVerifier", "clientId"}
OBJECTS = {"headers", "clientInformation", "tokens"}
FIELDS = REQUIRED | TEXTS | OBJECTS | {"active"}
UNDEFINED = object()


class Refused(Exception):
    """An error that the bridge answers."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.error = {"type": kind, "message": message}


def invalid(message: str) -> Refused:
    return Refused("InvalidSessionError", message)


# ---- values: stand-ins for what JSON lacks --------------------------------------------------------------------------


def unmark(value: Any) -> Any:
    if isinstance(value, list):
        return [unmark(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {"$"}:
        return {key: unmark(item) for key, item in value.items()}
    inside = value["$"]
    if inside == "undefined":
        return UNDEFINED
    if isinstance(inside, str):
        return float(inside.replace("Infinity", "inf"))
    if "integer" in inside:
        return int(inside["integer"])
    if "utf16" in inside:
        return bytes.fromhex(inside["utf16"]).decode("utf-16-be", "surrogatepass")
    return {"$": unmark(inside["quoted"])}


def mark(value: Any) -> Any:
    """Only these two values of a session need a stand-in: the others were refused before they were stored."""
    if isinstance(value, list):
        return [mark(item) for item in value]
    if isinstance(value, dict):
        copy = {key: mark(item) for key, item in value.items()}
        return {"$": {"quoted": copy["$"]}} if copy.keys() == {"$"} else copy
    if isinstance(value, float) and value == 0 and math.copysign(1, value) < 0:
        return {"$": "-0"}
    return value


# ---- what a session may hold ----------------------------------------------------------------------------------------


def check_text(value: Any) -> None:
    if not isinstance(value, str) or "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise invalid("text is needed, without NUL and lone surrogates")


def check_name(value: Any) -> None:
    check_text(value)
    if not 1 <= len(value) <= 255:
        raise invalid("an identity or a session id has 1 to 255 characters")


def check_json(value: Any, depth: int = 0) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, (dict, list)):
        if depth >= 64:
            raise invalid("it is nested too deeply")
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            check_json(item, depth + 1)
    elif isinstance(value, (int, float)):
        if not (math.isfinite(value) and -LARGEST <= value <= LARGEST):
            raise invalid("a number is too large for some languages")
    elif value is not None:
        raise invalid("the value is not JSON")


def check_field(field: str, value: Any) -> None:
    if field in OBJECTS:
        if not isinstance(value, dict):
            raise invalid(f"{field} is an object")
        check_json(value)
        if field == "headers" and not all(isinstance(item, str) for item in value.values()):
            raise invalid("headers are text")
        if field == "clientInformation":
            check_clear(value.get("client_secret"))
    elif field == "createdAt":
        if type(value) is not int or not 0 <= value <= LATEST_MOMENT:
            raise invalid("createdAt is in milliseconds since the epoch")
    elif field == "active":
        if not isinstance(value, bool):
            raise invalid("active is true or false")
    elif field in TEXTS:
        check_text(value)
        if field == "transportType" and value not in ("sse", "streamable_http"):
            raise invalid("transportType is sse or streamable_http")
        if field == "codeVerifier":
            check_clear(value)
    else:
        raise invalid("an unknown field")


def check_clear(value: Any) -> None:
    if isinstance(value, str) and value.startswith("enc:"):
        raise invalid("a secret in clear does not begin with enc:")


def check_ttl(ttl: Any) -> float:
    if type(ttl) not in (int, float) or not 0 < ttl <= LONGEST_TTL:
        raise invalid("ttl is a number of seconds above 0, at most 100 years")
    return float(ttl)


# ---- the store ------------------------------------------------------------------------------------------------------


class Store:
    """A handle and its sessions: by identity and session id, a session's text and its expiry."""

    def __init__(self, default_ttl: float) -> None:
        self.rows: dict[tuple[str, str], tuple[str, float]] = {}
        self.default_ttl = default_ttl
        self.is_open = True
        self.now: float | None = None

    def answer(self, message: Message) -> Any:
        self.now = message.get("now")
        call = message["call"]
        if not self.is_open and call not in ("init", "disconnect", "generateSessionIds"):
            raise Refused("StorageError", "the store is closed: call init()")
        return CALLS[call](self, message)

    def init(self, _message: Message) -> None:
        self.is_open = True

    def disconnect(self, _message: Message) -> None:
        self.is_open = False
        self.rows.clear()

    def session_ids(self, message: Message) -> list[str]:
        return [new_session_id() for _ in range(message["count"])]

    def create(self, message: Message) -> None:
        session = message["session"]
        if not session.keys() >= REQUIRED:
            raise invalid("a required field is missing")
        for field, value in session.items():
            check_name(value) if field in NAMES else check_field(field, value)
        key, expiry = (session["identity"], session["sessionId"]), self.expiry(message)
        if self.lives(key):
            raise Refused("SessionExistsError", "the session exists")
        self.rows[key] = json.dumps(session), expiry

    def update(self, message: Message) -> None:
        key, changes, expiry = self.key(message), message["changes"], self.expiry(message)
        for field, value in changes.items():
            if field in NAMES:
                raise invalid("a session keeps its identity and its id")
            if value is not UNDEFINED:
                check_field(field, value)
            elif field in REQUIRED or field not in FIELDS:
                raise invalid("that field can't be removed")
        if not self.lives(key):
            raise Refused("SessionNotFoundError", "there is no such live session")
        session = json.loads(self.rows[key][0]) | changes
        kept = {field: value for field, value in session.items() if value is not UNDEFINED}
        self.rows[key] = json.dumps(kept), expiry

    def get(self, message: Message) -> Any:
        key = self.key(message)
        return json.loads(self.rows[key][0]) if self.lives(key) else None

    def sessions(self, message: Message) -> list[Any]:
        return [json.loads(self.rows[key][0]) for key in self.keys_of(message)]

    def ids(self, message: Message) -> list[str]:
        return [session_id for _, session_id in self.keys_of(message)]

    def all_ids(self, _message: Message) -> list[str]:
        return [key[1] for key in self.rows if self.lives(key)]

    def remove(self, message: Message) -> None:
        self.rows.pop(self.key(message), None)

    def clear(self, _message: Message) -> None:
        self.rows.clear()

    def clean_up(self, _message: Message) -> None:
        self.rows = {key: row for key, row in self.rows.items() if self.lives(key)}

    def key(self, message: Message) -> tuple[str, str]:
        check_name(message["identity"])
        check_name(message["sessionId"])
        return message["identity"], message["sessionId"]

    def keys_of(self, message: Message) -> list[tuple[str, str]]:
        check_name(message["identity"])
        return [key for key in self.rows if key[0] == message["identity"] and self.lives(key)]

    def lives(self, key: tuple[str, str]) -> bool:
        return key in self.rows and self.time() < self.rows[key][1]

    def expiry(self, message: Message) -> float:
        return self.time() + check_ttl(message.get("ttl", self.default_ttl))

    def time(self) -> float:
        return time.time() if self.now is None else self.now


def new_session_id() -> str:
    return secrets.choice(string.ascii_letters) + "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(19)
    )


CALLS: dict[str, Callable[[Store, Message], Any]] = {
    "init": Store.init,
    "disconnect": Store.disconnect,
    "generateSessionIds": Store.session_ids,
    "createSession": Store.create,
    "updateSession": Store.update,
    "getSession": Store.get,
    "getIdentitySessionsData": Store.sessions,
    "getIdentityMcpSessions": Store.ids,
    "getAllSessionIds": Store.all_ids,
    "removeSession": Store.remove,
    "clearAll": Store.clear,
    "cleanupExpiredSessions": Store.clean_up,
}


# ---- the wire -------------------------------------------------------------------------------------------------------


def answer(message: Message, stores: dict[str, Store]) -> Any:
    call = message["call"]
    if "handle" in message:
        return stores[message["handle"]].answer(message)
    if call == "hello":
        return {"protocol": 1, "name": "memory-bridge", "version": "1", "capabilities": ["CLOCK", "DEFAULT_TTL"]}
    if call in ("ping", "provision", "destroy"):
        return None
    if call == "open" and "encryptionKey" not in message["options"]:
        handle = f"store {len(stores) + 1}"
        stores[handle] = Store(check_ttl(message["options"].get("defaultTtl", DEFAULT_TTL)))
        return {"handle": handle}
    raise Refused("Declined", f"this bridge can't {call}, or not with these options")


def main() -> None:
    stores: dict[str, Store] = {}
    for line in sys.stdin.buffer:
        message = {key: unmark(value) for key, value in json.loads(line).items()}
        reply = {"id": message["id"]}
        try:
            reply["result"] = mark(answer(message, stores))
        except Refused as refused:
            reply["error"] = refused.error
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
