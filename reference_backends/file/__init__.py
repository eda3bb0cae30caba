"""The file store: sessions in one JSON file.

- ``backend``: ``FileStorageBackend``.
- ``sessions``: the sessions of the file.
- ``content``: reads the file and replaces it as a whole.
- ``lock``: the lock between handles and processes.
"""
