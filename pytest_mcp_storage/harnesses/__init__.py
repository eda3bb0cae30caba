"""The harnesses of the bundled stores.

- ``memory``: the memory store.
- ``file``: the file store.
- ``sqlite``: the SQLite store.
- ``folder``: what the file and SQLite harnesses share.
- ``redis``: the Redis store.
- ``supabase``: the Supabase store.
- ``supabase_clients``: clients of a Supabase project, by key and user.
- ``supabase_database``: the database of a Supabase project, without PostgREST.
- ``options``: the options that a harness passes to its backend.
"""
