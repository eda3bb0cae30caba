"""Stores in other languages, behind a program that speaks the bridge protocol (docs/bridge-protocol.md).

- ``backend_names``: the backend names ``stdio:COMMAND`` and ``mcp-ts:STORE``.
- ``harness``: drives the bridge program.
- ``backend``: one handle, as a ``StorageBackend``.
- ``handshake``: what a bridge says about itself.
- ``wire``: calls and answers, many at once, within time limits.
- ``child``: the bridge's process.
- ``marks``: JSON, and what JSON lacks.
- ``borrowed``: objects that callers change in place.
- ``errors``: faults of the bridge, and errors of the backend behind it.
- ``mcp_ts``: the stores of ``@mcp-ts/sdk``.
"""
