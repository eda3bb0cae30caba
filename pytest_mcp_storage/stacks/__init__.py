"""Servers for a run: a Supabase stack that is found or started (:mod:`.supabase`), and Redis (:mod:`.redis`)."""
