"""The file store: sessions in one JSON file.

- ``backend``: ``FileStorageBackend``.
- ``sessions``: the content of the file.
- ``lock``: the lock between handles and processes.
"""
