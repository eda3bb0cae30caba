"""Servers for a run. It knows nothing of the suite.

- ``supabase``: a Supabase stack that is found or started.
- ``redis``: a Redis or Valkey server that is found or started.
- ``processes``: child processes that end with their parent.
- ``folders``: the cache folder, and a folder for each run.
"""
