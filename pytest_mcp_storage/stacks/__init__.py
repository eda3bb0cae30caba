"""Servers for a run. It knows nothing of the suite.

- ``supabase``: a Supabase stack that is found or started.
- ``redis``: a Redis or Valkey server that is found or started.
- ``supervised``, ``supervisor``: servers that end with this process; the process that starts and ends them.
- ``servers``: what the supervisor needs of them.
- ``processes``: child processes that end with their parent.
- ``polling``: waiting for a server that starts.
- ``environment_variables``: the environment variables that programs and connections see.
- ``signing``: users' tokens.
- ``folders``: the cache folder, and a folder for each run.
"""
