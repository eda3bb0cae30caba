"""From a Redis URL to a client: what upstream's ioredis takes, and what redis-py takes.

``host``, ``host:6379``, ``:6379``, ``6379``, ``/run/redis.sock`` and ``//host`` need no scheme. ``redis://``,
``rediss://`` (TLS) and ``unix://`` are schemes, ``valkey://`` and ``valkeys://`` their other names. Options follow
``?``, in the words of either client.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from reference_backends.core.errors import ConfigurationError
from reference_backends.core.variable_values import checked

SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "valkey": "redis", "valkeys": "rediss"}

OPTIONS = frozenset(
    [
        "client_name",
        "db",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "legacy_responses",
        "lib_name",
        "lib_version",
        "max_connections",
        "password",
        "protocol",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_read_size",
        "socket_timeout",
        "username",
    ]
)
"""The options of redis-py that a URL may hold; those that begin with ``ssl_`` are further ones."""

WITHOUT_EFFECT = frozenset(
    [
        "allowUsernameInURI",
        "autoResendUnfulfilledCommands",
        "autoResubscribe",
        "commandTimeout",
        "disconnectTimeout",
        "dropBufferSupport",
        "enableAutoPipelining",
        "enableOfflineQueue",
        "enableReadyCheck",
        "keepAlive",
        "lazyConnect",
        "maxLoadingRetryTime",
        "maxRetriesPerRequest",
        "maxScriptsCachingTime",
        "noDelay",
        "showFriendlyErrorStack",
        "socketTimeout",
        "stringNumbers",
    ]
)
"""Options of ioredis that change neither which server is asked nor what it stores. The store has its own limits."""

_ON, _OFF = ("", "1", "true"), ("0", "false")
_ENCODE = "percent-encode / ? # @ : % and spaces in the user name and the password"


def redis_client(url: str, *, name: str = "REDIS_URL", **options: Any) -> Redis:
    """Return redis-py's asyncio client for ``url``; ``name`` is what errors call it.

    ``options`` are keyword arguments of ``Redis.from_url``. Raises :class:`ConfigurationError`, which repeats no part
    of the URL but the name of an option.
    """
    text = checked(name, url)
    problem = ""
    try:
        client = Redis.from_url(_plain(text, name), **options)
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # does not connect, and takes the options
    except ConfigurationError:
        raise
    except (TypeError, ValueError, RedisError):
        problem = f"an option of {name} has a bad value, or does not fit its scheme: correct what follows the ?"
    if problem:
        raise ConfigurationError(problem)
    return client


def _plain(text: str, name: str) -> str:
    """The URL as redis-py takes it."""
    parts = _split(text, name)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(f"{name} is no Redis URL: it looks like redis://:password@host:6379/0, or host:6379")
    scheme = SCHEMES[parts.scheme]
    given = parse_qsl(parts.query, keep_blank_values=True)
    kept: dict[str, str] = {}
    for option, value in given:
        if option == "tls":
            scheme = _with_tls(scheme, value, name)
        else:
            kept |= _option(option, value, name)
    if scheme != "unix":
        number = parts.path.strip("/")
        if not re.fullmatch(r"[0-9]*", number) or not re.fullmatch(r"[0-9]+", kept.get("db", "0")):
            raise ConfigurationError(f"{name} names a database that is no number: it looks like redis://host:6379/0")
        if number and int(kept.get("db", number)) != int(number):
            raise ConfigurationError(f"{name} names two databases, one after / and one after ?db=: remove one")
    elif not parts.path:
        raise ConfigurationError(f"{name} names no socket: it looks like unix:///run/redis.sock?db=0")
    return urlunsplit((scheme, parts.netloc, parts.path, urlencode(kept), ""))


def _split(text: str, name: str) -> SplitResult:
    if re.search(r"\s", text):
        raise ConfigurationError(f"{name} holds white space: remove it, and {_ENCODE}")
    if re.fullmatch(r"[0-9]+", text):
        text = f"redis://localhost:{text}"
    elif text.startswith("//"):
        text = f"redis:{text}"
    elif text.startswith("/"):
        text = f"unix://{text}"
    elif not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        text = f"redis://{text}"
    parts = _parts(text)
    if parts is None:
        raise ConfigurationError(f"{name} has no valid host and port: name one server, and {_ENCODE}")
    if parts.fragment or "@" in parts.query or "@" in parts.path:
        raise ConfigurationError(f"{name} can't be read: {_ENCODE}")
    if "," in (parts.hostname or ""):
        raise ConfigurationError(
            f"{name} names several servers: name one, or make a RedisCluster or Sentinel client and give it to "
            "RedisStorageBackend"
        )
    return parts


def _parts(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None  # its text shows what was given
    return parts


def _with_tls(scheme: str, value: str, name: str) -> str:
    if value.lower() in _ON and scheme != "unix":
        return "rediss"
    if value.lower() in _OFF and scheme == "redis":
        return scheme
    raise ConfigurationError(f"{name} asks for TLS in a way that can't be: begin it with rediss:// and remove ?tls=")


def _option(option: str, value: str, name: str) -> dict[str, str]:
    """An option in redis-py's words; nothing for one that needs nothing here."""
    if option == "family":  # redis-py tries every address of a name, of both kinds
        if value not in ("0", "4", "6"):
            raise ConfigurationError(f"{name} has a family that is none of 0, 4 and 6: correct or remove it")
        return {}
    if option == "connectTimeout":
        if not re.fullmatch(r"[0-9]+", value):
            raise ConfigurationError(f"{name} has a connectTimeout that is no number of milliseconds: correct it")
        return {"socket_connect_timeout": str(int(value) / 1000)} if int(value) else {}
    if option == "connectionName":
        return {"client_name": value}
    if option in WITHOUT_EFFECT or (option in ("keyPrefix", "readOnly") and value.lower() in ("", "false")):
        return {}
    if option in OPTIONS or option.startswith("ssl_"):
        return {option: value}
    shown = f"the option {option!r}" if re.fullmatch(r"\w{1,40}", option) else "an option"
    raise ConfigurationError(f"{name} has {shown}, which this client can't honour: remove it")
