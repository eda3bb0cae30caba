"""The file store: sessions in one JSON file.

- ``backend``: ``FileStorageBackend``.
- ``sessions``: the content of the file.
- ``content``: reading the file, and replacing it atomically.
- ``lock``: the lock between handles and processes.
"""
