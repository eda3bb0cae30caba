"""What is wrong with a store, as its environment names it: ``mcp-storage doctor``. It writes nothing.

- ``finding``: one result of a check.
- ``examination``: all checks of an environment.
- ``selection``: which store the environment chooses, and its encryption key.
- ``rows``: stored secrets that are in clear.
- ``files``: the file and the SQLite store.
- ``redis``: a Redis or Valkey server.
- ``supabase``: a Supabase project, through its REST API.
- ``supabase_database``: its table, policies and privileges, read from PostgreSQL.
"""
