"""The Redis store: sessions in Redis or Valkey.

- ``backend``: ``RedisStorageBackend``.
- ``layout``: keys and fields.
- ``scripts``: Lua scripts, one for each atomic step.
- ``connection``: one event loop's connection: each command is sent once and within a time limit.
- ``pool``: one connection for each event loop.
- ``url``: from a Redis URL to a client.
- ``errors``: failures of Redis as errors of the library.
"""
