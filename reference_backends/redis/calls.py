"""Run a script on a connection; check the kind of server and the user's rights."""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from reference_backends.redis.connection import Argument, Connection
from reference_backends.redis.errors import FAILURES, denial, explain, refusal
from reference_backends.redis.scripts import READ, TRY, Script


async def check_server(connection: Connection, server: str) -> None:
    """Raise :class:`StorageError` if a single server is a node of a cluster, or a replica.

    A node of a cluster serves only part of the identities, and scans only part of the keys without an error.
    """
    if connection.one_slot:
        return
    try:
        answer = await connection.ask("HELLO")
    except ResponseError:  # forbidden or unknown: the first script shows whether the server can be used
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


async def check_rights(connection: Connection, server: str, keys: list[bytes]) -> None:
    """Try every command of the store on keys that no session has. Raise :class:`StorageError` if one is forbidden.

    Try EVAL, then EVALSHA as every call does. A server that is used already may know all scripts, so that no call
    needs EVAL.
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
    """Run a script on ``keys``. If ``connection.one_slot``, they must share a slot. Raise :class:`StorageError`."""
    try:
        try:
            return await connection.ask("EVALSHA", script.digest, len(keys), *keys, *arguments, key=keys[0])
        except NoScriptError:  # nothing has run: this server does not know the script
            return await connection.ask("EVAL", script.source, len(keys), *keys, *arguments, key=keys[0])
    except FAILURES as error:
        problem = explain(error, server)
    raise problem
