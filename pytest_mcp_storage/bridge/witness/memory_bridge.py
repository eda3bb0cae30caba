"""A bridge of one file: a store in memory behind the protocol of docs/bridge-protocol.md.

The second witness of that protocol: written from its text alone, with nothing but Python's standard library, and
nothing of pytest-mcp-storage. Copy it to start a bridge in another language. Capabilities: CLOCK.
"""

import json
import math
import secrets
import string
import sys
import time

LARGEST = 2**53 - 1
LATEST_MOMENT = 253402300799999
LONGEST_TTL = 3_155_760_000
DEFAULT_TTL = 43_200
REQUIRED = {"sessionId", "identity", "serverUrl", "transportType", "callbackUrl", "createdAt"}
TEXTS = {"serverId", "serverName", "serverUrl", "transportType", "callbackUrl", "codeVerifier", "clientId"}
OBJECTS = {"headers", "clientInformation", "tokens"}
FIELDS = REQUIRED | TEXTS | OBJECTS | {"active"}
UNDEFINED = object()


class Refused(Exception):
    def __init__(self, type, message):
        self.error = {"type": type, "message": message}


# ---- values ---------------------------------------------------------------------------------------------------------


def unmark(value):
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


def mark(value):
    """Only what a session of this store can hold: everything else was refused on its way in."""
    if isinstance(value, list):
        return [mark(item) for item in value]
    if isinstance(value, dict):
        copy = {key: mark(item) for key, item in value.items()}
        return {"$": {"quoted": copy["$"]}} if copy.keys() == {"$"} else copy
    if isinstance(value, float) and value == 0 and math.copysign(1, value) < 0:
        return {"$": "-0"}
    return value


# ---- the store ------------------------------------------------------------------------------------------------------


def invalid(message):
    return Refused("InvalidSessionError", message)


def check_text(value):
    if not isinstance(value, str) or "\0" in value:
        raise invalid("text without NUL is needed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid("a lone surrogate is no text") from None


def check_name(value):
    check_text(value)
    if not 1 <= len(value) <= 255:
        raise invalid("an identity or a session id has 1 to 255 characters")


def check_json(value, depth=0):
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, (dict, list)):
        if depth >= 64:
            raise invalid("it is nested too deeply")
        for item in value.values() if isinstance(value, dict) else value:
            check_json(item, depth + 1)
        for key in value if isinstance(value, dict) else ():
            check_text(key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if not (math.isfinite(value) and -LARGEST <= value <= LARGEST):
            raise invalid("a number is beyond what every language keeps")
    elif value is not None and not isinstance(value, bool):
        raise invalid("that is no JSON value")


def check_fields(fields):
    for field, value in fields.items():
        if field not in FIELDS:
            raise invalid("an unknown field")
        if value is UNDEFINED:
            if field in REQUIRED:
                raise invalid(f"{field} is needed")
        elif field in OBJECTS:
            if not isinstance(value, dict):
                raise invalid(f"{field} is an object")
            check_json(value)
            if field == "headers" and not all(isinstance(item, str) for item in value.values()):
                raise invalid("headers are text")
        elif field in TEXTS:
            check_text(value)
    if fields.get("transportType", "sse") not in ("sse", "streamable_http"):
        raise invalid("transportType is sse or streamable_http")
    if not isinstance(fields.get("active", True), bool) and fields["active"] is not UNDEFINED:
        raise invalid("active is true or false")
    moment = fields.get("createdAt", 0)
    if type(moment) is not int or not 0 <= moment <= LATEST_MOMENT:
        raise invalid("createdAt is in milliseconds since the epoch")
    secrets_in_clear = [fields.get("codeVerifier")]
    if isinstance(fields.get("clientInformation"), dict):
        secrets_in_clear.append(fields["clientInformation"].get("client_secret"))
    if any(isinstance(secret, str) and secret.startswith("enc:") for secret in secrets_in_clear):
        raise invalid("a secret in clear does not begin with enc:")


def check_ttl(ttl):
    if type(ttl) not in (int, float) or not 0 < ttl <= LONGEST_TTL:
        raise invalid("ttl is a number of seconds above 0, at most 100 years")
    return ttl


class Store:
    """A handle, and all that it holds: texts of sessions and their expiry by identity and session id."""

    def __init__(self, default_ttl):
        self.rows = {}
        self.default_ttl = default_ttl
        self.open = True
        self.now = None

    def call(self, name, message):
        self.now = message.get("now")
        if name not in ("init", "disconnect", "generateSessionIds") and not self.open:
            raise Refused("StorageError", "the store is closed: call init()")
        return getattr(self, name)(message)

    def time(self):
        return time.time() if self.now is None else self.now

    def live(self):
        return {key: text for key, (text, expiry) in self.rows.items() if self.time() < expiry}

    def expiry(self, message):
        return self.time() + check_ttl(message.get("ttl", self.default_ttl))

    def init(self, _message):
        self.open = True

    def disconnect(self, _message):
        self.open = False
        self.rows.clear()

    def generateSessionIds(self, message):
        letters, rest = string.ascii_lowercase, string.ascii_lowercase + string.digits
        return [
            secrets.choice(letters) + "".join(secrets.choice(rest) for _ in range(19)) for _ in range(message["count"])
        ]

    def createSession(self, message):
        session = message["session"]
        check_name(session.get("sessionId"))
        check_name(session.get("identity"))
        if not session.keys() >= REQUIRED:
            raise invalid("a needed field is missing")
        check_fields({field: value for field, value in session.items() if field not in ("sessionId", "identity")})
        expiry = self.expiry(message)
        key = session["identity"], session["sessionId"]
        if key in self.live():
            raise Refused("SessionExistsError", "the session exists")
        self.rows[key] = json.dumps(session), expiry

    def updateSession(self, message):
        key = self.key(message)
        changes = message["changes"]
        if not changes.keys().isdisjoint({"sessionId", "identity"}):
            raise invalid("a session keeps its identity and its id")
        check_fields(changes)
        expiry = self.expiry(message)
        if key not in self.live():
            raise Refused("SessionNotFoundError", "there is no such live session")
        session = json.loads(self.rows[key][0]) | changes
        kept = {field: value for field, value in session.items() if value is not UNDEFINED}
        self.rows[key] = json.dumps(kept), expiry

    def getSession(self, message):
        text = self.live().get(self.key(message))
        return None if text is None else json.loads(text)

    def getIdentitySessionsData(self, message):
        check_name(message["identity"])
        return [json.loads(text) for (identity, _), text in self.live().items() if identity == message["identity"]]

    def getIdentityMcpSessions(self, message):
        check_name(message["identity"])
        return [session_id for identity, session_id in self.live() if identity == message["identity"]]

    def getAllSessionIds(self, _message):
        return [session_id for _, session_id in self.live()]

    def removeSession(self, message):
        self.rows.pop(self.key(message), None)

    def clearAll(self, _message):
        self.rows.clear()

    def cleanupExpiredSessions(self, _message):
        self.rows = {key: self.rows[key] for key in self.live()}

    def key(self, message):
        check_name(message["identity"])
        check_name(message["sessionId"])
        return message["identity"], message["sessionId"]


# ---- the wire -------------------------------------------------------------------------------------------------------


class Bridge:
    def __init__(self):
        self.handles = {}

    def answer(self, message):
        call = message["call"]
        if "handle" in message:
            return self.handles[message["handle"]].call(call, message)
        if call in ("ping", "provision", "destroy"):
            return None
        if call == "hello":
            return {"protocol": 1, "name": "memory-bridge", "version": "1", "capabilities": ["CLOCK"]}
        if call == "open":
            options = message["options"]
            if "encryptionKey" in options:
                raise Refused("Declined", "this store takes no key")
            handle = f"store {len(self.handles) + 1}"
            self.handles[handle] = Store(check_ttl(options.get("defaultTtl", DEFAULT_TTL)))
            return {"handle": handle}
        raise Refused("Declined", f"this bridge has no {call}")


def main():
    bridge = Bridge()
    for line in sys.stdin.buffer:
        message = {key: unmark(value) for key, value in json.loads(line).items()}
        reply = {"id": message["id"]}
        try:
            reply["result"] = mark(bridge.answer(message))
        except Refused as refused:
            reply["error"] = refused.error
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
