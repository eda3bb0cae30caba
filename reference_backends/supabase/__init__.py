"""The Supabase store: sessions in the table ``mcp_sessions``, over PostgREST.

- ``backend``: ``SupabaseStorageBackend`` and ``create_supabase_storage_backend``.
- ``table``: requests to the table.
- ``rows``: a record as a row.
- ``role``: the role that a client acts as.
- ``grants``: tells row security from a missing GRANT.
- ``project``: a backend that makes its own client from a URL and a key.
- ``answers``: refusals of PostgREST and its gateways as errors.
- ``http_environment``: proxy and certificate variables.
- ``errors``: failures of PostgREST and PostgreSQL as errors of the library.
"""
