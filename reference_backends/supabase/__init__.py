"""The Supabase store: sessions in the table ``mcp_sessions``, over PostgREST.

- ``backend``: ``SupabaseStorageBackend`` and ``create_supabase_storage_backend``.
- ``table``: requests to the table.
- ``rows``: a record as a row.
- ``role``: the role that a client acts as.
- ``grants``: distinguishes row security from a missing GRANT.
- ``project``: a backend that makes its own client from a URL and a key.
- ``refusals``: error responses of PostgREST and its gateways as errors of the library.
- ``tokens``: why a key or a login is refused.
- ``credentials``: the key that each request carries.
- ``upstream``: detects the table of ``@mcp-ts/client``.
- ``push``: how to apply the migrations with the installed Supabase CLI.
- ``http_environment``: proxy and certificate variables.
- ``errors``: failures of PostgREST and PostgreSQL as errors of the library.
"""
