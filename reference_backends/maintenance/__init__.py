"""Work on a whole store: the commands ``mcp-storage migrate`` and ``mcp-storage reseal``.

- ``migration``: copy the sessions of ``@mcp-ts/sdk`` from Redis to another store.
- ``resealing``: seal every session again, under the first encryption key.
"""
