"""The harnesses of the bundled stores, and of py-key-value's.

- ``memory``: the memory store.
- ``file``: the file store.
- ``sqlite``: the SQLite store.
- ``folder``: what the file and SQLite harnesses share.
- ``redis``: the Redis store.
- ``supabase``: the Supabase store.
- ``supabase_clients``: clients of a Supabase project, by key and user.
- ``supabase_database``: the database of a Supabase project, without PostgREST.
- ``key_value``: any py-key-value store.
- ``key_value_backend``: sessions kept in a py-key-value store.
- ``backend_options``: the options that a harness passes to its backend.
- ``supabase_server``: the server of this process's Supabase stores, and what a project can't do.
"""
