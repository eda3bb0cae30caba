"""Servers for a run.

- ``supabase``: a Supabase stack that is found or started.
- ``redis``: a Redis or Valkey server that is found or started.
- ``processes``: child processes that end with their parent.
- ``folders``: cache and run folders.
"""
