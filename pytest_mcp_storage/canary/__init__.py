"""Secrets that are planted in sessions and searched for. This package does not import the suite.

- ``canaries``: the secrets of one example, and the search for them.
- ``encodings``: the encodings in which a secret may be stored.
- ``compression``: compressed streams in bytes of any kind.
- ``envelopes``: an independent reader of ``enc:1:`` envelopes.
- ``log_capture``: log records, warnings and exceptions of a store.
- ``tampering``: changes of an envelope that must make it unreadable.
- ``watcher``: A watch over what a store holds, while calls are running and after them: secrets in clear, and IVs.
"""
