"""The stores of ``@mcp-ts/sdk`` as published, in Node behind a bridge.

- ``package``: installs the package with npm.
- ``harness``: what its harnesses share.
- ``memory``: in the memory of its process.
- ``file``: in a JSON file.
- ``sqlite``: in a SQLite database.
- ``redis``: in Redis.
- ``supabase``: in a Supabase table.
"""
