"""What the store asks of a connection: what the server is, what the user may do, and to run a script."""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from reference_backends.redis.connection import Argument, Connection
from reference_backends.redis.errors import FAILURES, denial, explain, refusal
from reference_backends.redis.scripts import READ, TRY, Script


async def examine(connection: Connection, server: str) -> None:
    """See that a server which is asked alone is no node of a cluster, and no replica. Raises :class:`StorageError`.

    A cluster's node would serve a third of all identities, and walk a third of all keys without an error.
    """
    if connection.one_slot:
        return
    try:
        answer = await connection.ask("HELLO")
    except ResponseError:  # forbidden, or older than it: the first script shows what works
        return
    except FAILURES as error:
        problem = explain(error, server)
    else:
        facts = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=False))
        if facts.get(b"mode") == b"cluster":
            problem = refusal("MOVED", server)
        elif facts.get(b"role") == b"replica":
            problem = refusal("READONLY", server)
        else:
            return
    raise problem


async def try_rights(connection: Connection, server: str, keys: list[bytes]) -> None:
    """Try what the store will need on keys that no session has. Raises :class:`StorageError` for what is forbidden.

    By EVAL, and a script by EVALSHA as every call has it: a server that others use may know all scripts.
    """
    try:
        denied = await connection.ask("EVAL", TRY.source, len(keys), *keys, key=keys[0])
    except FAILURES as error:
        problem = explain(error, server)
    else:
        if not denied:
            await run(connection, server, READ, keys[:1], b"")
            return
        problem = denial([command.decode() for command in denied], server)
    raise problem


async def run(connection: Connection, server: str, script: Script, keys: list[bytes], *arguments: Argument) -> Any:
    """Run a script on ``keys``, which share a slot if the connection asks for it. Raises :class:`StorageError`."""
    try:
        try:
            return await connection.ask("EVALSHA", script.digest, len(keys), *keys, *arguments, key=keys[0])
        except NoScriptError:  # nothing has run: this server does not know the script yet, or any more
            return await connection.ask("EVAL", script.source, len(keys), *keys, *arguments, key=keys[0])
    except FAILURES as error:
        problem = explain(error, server)
    raise problem
