"""``mcp-storage new-harness``: a harness, a test and a CI file for a store.

- ``command``: the command; it renders the templates of this folder and writes the files.
- ``signature``: which arguments of the store the harness can fill in.
"""
