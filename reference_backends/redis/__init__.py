"""The Redis store: sessions in Redis or Valkey.

- ``backend``: ``RedisStorageBackend``.
- ``layout``: keys and fields.
- ``scripts``: Lua scripts, one for each atomic step.
- ``calls``: run a script; check the server and the user's rights.
- ``connection``: calls to the server, each sent once and within a time limit.
- ``pool``: one connection for each event loop.
- ``errors``: failures of Redis as errors of the library.
- ``url``: a Redis URL, checked, as a client.
"""
