"""Make a client from a Redis URL. It accepts the URLs of redis-py, and of ioredis, which ``@mcp-ts/sdk`` uses.

``host``, ``host:6379``, ``:6379``, ``6379``, ``/run/redis.sock`` and ``//host`` need no scheme. The schemes are
``redis://``, ``rediss://`` (TLS) and ``unix://``; ``valkey://`` and ``valkeys://`` mean the first two. Options follow
``?`` and have the names of either client.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from reference_backends.core.errors import ConfigurationError
from reference_backends.core.setting_values import checked

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
"""The options of redis-py that a URL may have. Names that begin with ``ssl_`` are allowed, too."""

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
"""Options of ioredis that are ignored: they do not change the server or the stored data. The store has own limits."""

_ON, _OFF = ("", "1", "true"), ("0", "false")
_ENCODE = "percent-encode / ? # @ : % and spaces in the user name and the password"


def redis_client(url: str, *, name: str = "REDIS_URL", **options: Any) -> Redis:
    """Return redis-py's asyncio client for ``url``. Errors call the URL ``name``.

    ``options`` are keyword arguments of ``Redis.from_url``. Raise :class:`ConfigurationError` for a bad URL. The
    message repeats no part of the URL except the name of an option.
    """
    text = checked(name, url)
    problem = ""
    try:
        client = Redis.from_url(_plain(text, name), **options)
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # checks the options; does not connect
    except ConfigurationError:
        raise
    except (TypeError, ValueError, RedisError):
        problem = f"an option of {name} has a bad value, or does not fit its scheme: correct what follows the ?"
    if problem:
        raise ConfigurationError(problem)
    return client


def _plain(text: str, name: str) -> str:
    """Return the URL in the form that redis-py takes."""
    parts = _split(text, name)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(f"{name} is not a Redis URL: write redis://:password@host:6379/0, or host:6379")
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
            raise ConfigurationError(f"{name} names a database that is not a number: write redis://host:6379/0")
        if number and int(kept.get("db", number)) != int(number):
            raise ConfigurationError(f"{name} names two databases, one after / and one after ?db=: remove one")
    elif not parts.path:
        raise ConfigurationError(f"{name} names no socket: write unix:///run/redis.sock?db=0")
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
        return None  # the text of the error repeats the URL
    return parts


def _with_tls(scheme: str, value: str, name: str) -> str:
    if value.lower() in _ON and scheme != "unix":
        return "rediss"
    if value.lower() in _OFF and scheme == "redis":
        return scheme
    raise ConfigurationError(f"{name} has a tls option that cannot work: begin it with rediss:// and remove ?tls=")


def _option(option: str, value: str, name: str) -> dict[str, str]:
    """Return an option under redis-py's name; nothing for an option that is ignored."""
    if option == "family":  # redis-py tries every address of a name, of both kinds
        if value not in ("0", "4", "6"):
            raise ConfigurationError(f"{name} has a family other than 0, 4 and 6: correct or remove it")
        return {}
    if option == "connectTimeout":
        if not re.fullmatch(r"[0-9]+", value):
            raise ConfigurationError(f"{name} has a connectTimeout that is not a number of milliseconds: correct it")
        return {"socket_connect_timeout": str(int(value) / 1000)} if int(value) else {}
    if option == "connectionName":
        return {"client_name": value}
    if option in WITHOUT_EFFECT or (option in ("keyPrefix", "readOnly") and value.lower() in ("", "false")):
        return {}
    if option in OPTIONS or option.startswith("ssl_"):
        return {option: value}
    shown = f"the option {option!r}" if re.fullmatch(r"\w{1,40}", option) else "an option"
    raise ConfigurationError(f"{name} has {shown}, which this client does not support: remove it")
