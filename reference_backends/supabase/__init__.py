"""The Supabase store: sessions in the table ``mcp_sessions``, over PostgREST.

- ``backend``: ``SupabaseStorageBackend`` and ``create_supabase_storage_backend``.
- ``table``: requests to the table.
- ``rows``: a record as a row.
- ``role``: the role that a client acts as.
- ``grants``: distinguishes row security from a missing GRANT.
- ``project``: a backend that makes its own client from a URL and a key.
- ``answers``: error responses of PostgREST and its gateways as errors of the library.
- ``tokens``: why a key or a login is refused.
- ``credentials``: the key that each request carries.
- ``upstream``: detects the table of ``@mcp-ts/client``.
- ``push``: how to apply the migrations with the installed Supabase CLI.
- ``http_environment``: proxy and certificate variables.
- ``errors``: failures of PostgREST and PostgreSQL as errors of the library.
- ``credentials``: the key that each request carries: read anew, so that a key that was rotated counts at the.
- ``push``: how migrations are applied: the command line of Supabase has two majors, whose commands differ.
- ``tokens``: why PostgREST refuses a key or a login, and what follows from it: PGRST300 to PGRST303, and 401.
- ``upstream``: the other table called ``mcp_sessions``: ``@mcp-ts/client`` (2 to 4) keeps other columns under.
"""
