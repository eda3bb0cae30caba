"""The Supabase store: sessions in the table ``mcp_sessions``, over PostgREST.

- ``backend``: ``SupabaseStorageBackend`` and ``create_supabase_storage_backend``.
- ``table``: requests to the table.
- ``rows``: a record as a row.
- ``role``: the role that a client acts as.
- ``project``: a backend that makes its own client from a URL and a key.
- ``errors``: failures of PostgREST and PostgreSQL as errors of the library.
"""
