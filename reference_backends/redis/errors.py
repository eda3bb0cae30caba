"""Errors of Redis as errors of the library. No message repeats the server's text, which may hold sent values."""

from __future__ import annotations

import re

from redis import exceptions as redis_exceptions

from reference_backends.core.connect_errors import connect_problem
from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

FAILURES = (redis_exceptions.RedisError, redis_exceptions.RedisClusterException, OSError)
"""The errors that a call of redis-py raises on purpose. The ``TimeoutError`` of a time limit is an ``OSError``."""

_REMEDIES: dict[str, tuple[type[StorageError], str]] = {
    "NOAUTH": (ConfigurationError, "asks for a password: give the client the right one"),
    "WRONGPASS": (ConfigurationError, "refused the client's user name or password: correct them"),
    "AUTH": (ConfigurationError, "does not let the client in: give it the right user name and password"),
    "NOPERM": (
        StorageSetupError,
        "forbids this user a command or a key of the store: see the least rights in docs/stores.md",
    ),
    "WRONGTYPE": (StorageSetupError, "holds other data under the store's keys: choose another prefix"),
    "OOM": (StorageSetupError, "has no memory left: raise maxmemory, or clean up expired sessions"),
    "MISCONF": (StorageSetupError, "can't save its data to its disk and takes no writes: see its log"),
    "CROSSSLOT": (StorageSetupError, "is a cluster: use redis.asyncio.RedisCluster as the client"),
    "MOVED": (StorageSetupError, "is a cluster: use redis.asyncio.RedisCluster as the client"),
    "READONLY": (StorageUnavailableError, "is a read-only replica: connect to the primary"),
    "LOADING": (StorageUnavailableError, "is still loading its data: try again"),
    "BUSY": (StorageUnavailableError, "is busy with a script: try again, or end it with SCRIPT KILL"),
    "TRYAGAIN": (StorageUnavailableError, "is moving this identity to another node: try again"),
    "CLUSTERDOWN": (StorageUnavailableError, "is a cluster that does not serve all slots: see CLUSTER INFO"),
    "MASTERDOWN": (StorageUnavailableError, "is a replica that has lost its primary"),
    "NOREPLICAS": (StorageUnavailableError, "has fewer replicas than it asks for: see min-replicas-to-write"),
}
_CODE = re.compile(rf"\b({'|'.join(_REMEDIES)})\b")

# redis-py removes the code from the message if it has a class for that code.
_CODE_OF_CLASS = (
    (redis_exceptions.AuthenticationError, "AUTH"),
    (redis_exceptions.AuthenticationWrongNumberOfArgsError, "AUTH"),
    (redis_exceptions.NoPermissionError, "NOPERM"),
    (redis_exceptions.OutOfMemoryError, "OOM"),
    (redis_exceptions.ReadOnlyError, "READONLY"),
    (redis_exceptions.BusyLoadingError, "LOADING"),
    (redis_exceptions.MasterDownError, "MASTERDOWN"),
    (redis_exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis_exceptions.TryAgainError, "TRYAGAIN"),
    (redis_exceptions.MovedError, "MOVED"),
    (redis_exceptions.ClusterCrossSlotError, "CROSSSLOT"),
)


_DENIED_IN_A_SCRIPT = ("ACL failure in script", "The user executing the script")
"""The words of Redis 7 and Valkey, and of Redis 6.2, for NOPERM inside a script."""


def explain(error: BaseException, server: str) -> StorageError:
    """Return the library's error for an error of redis-py. ``server`` names the server.

    Raise it outside the ``except`` block, so that redis-py's error is not its context.
    """
    code = _code(error)
    if code is not None:
        return refusal(code, server)
    if isinstance(error, redis_exceptions.MaxConnectionsError):
        return StorageUnavailableError(f"{server}: the client's connections are all in use: raise max_connections")
    if "max number of clients" in str(error):
        return StorageUnavailableError(
            f"{server} takes no more connections: raise maxclients, or lower max_connections"
        )
    if isinstance(error, (TimeoutError, redis_exceptions.TimeoutError)):
        return StorageUnavailableError(f"{server} did not answer in time; a write may or may not have been done")
    if why := connect_problem(error):
        return StorageUnavailableError(f"{server} can't be reached{why}")
    if isinstance(
        error,
        redis_exceptions.ConnectionError
        | redis_exceptions.RedisClusterException
        | redis_exceptions.ClusterError
        | OSError,
    ):
        return StorageUnavailableError(
            f"{server} can't be reached, or closed the connection; a write may or may not have been done"
        )
    if isinstance(error, redis_exceptions.InvalidResponse):
        return StorageSetupError(f"{server} does not use the Redis protocol: correct the address")
    return StorageSetupError(f"{server} refused a command that the store needs (is it Redis 6.2, Valkey or newer?)")


def denial(commands: list[str], server: str) -> StorageError:
    """Return the error for commands that this user may not run on the store's keys."""
    rules = " ".join(f"+{command.lower()}" for command in commands)
    return StorageSetupError(
        f"{server} forbids this user {', '.join(commands)} on the store's keys: allow {rules} and the keys of the "
        "store's prefix; see the least rights in docs/stores.md (NOPERM)"
    )


def refusal(code: str, server: str) -> StorageError:
    """Return the library's error for the code at the beginning of a server's error."""
    kind, remedy = _REMEDIES[code]
    return kind(f"{server} {remedy} ({code})")


def _code(error: BaseException) -> str | None:
    if any(words in str(error) for words in _DENIED_IN_A_SCRIPT):
        return "NOPERM"
    found = _CODE.search(str(error))
    if found is not None:
        return found[1]
    return next((code for kind, code in _CODE_OF_CLASS if isinstance(error, kind)), None)
