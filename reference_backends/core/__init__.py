"""What every store shares.

- ``session``: the session, a frozen pydantic model.
- ``bounds``: which text and JSON a session may hold.
- ``validation``: checks of what the calls of a store are given.
- ``protocol``: the interface that every store implements.
- ``errors``: what a store raises.
- ``connect_errors``: the cause of a failed connection, in words.
- ``strict_json``: JSON by its standard, without NaN and infinity.
- ``envelope``: one sealed value, ``enc:1:…``.
- ``keyring``: the keys of a store.
- ``record``: a session as it is stored, with its secrets sealed.
- ``base``: the base class of a backend: key, clock, default TTL, life cycle.
- ``loop_thread``: an event loop on its own thread.
- ``settings``: the environment variables that choose a store.
- ``setting_values``: checks of their values.
"""
