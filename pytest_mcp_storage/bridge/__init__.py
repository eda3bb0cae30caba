"""Stores in other languages, behind a program that speaks the bridge protocol (docs/bridge-protocol.md).

``names`` turns the name of a backend into its harness, ``harness`` drives the program, which ``handshake`` asks what it
can do, and ``backend`` is one of its handles. ``wire`` matches answers to calls, ``child`` owns the process, ``values``
carries what JSON does not, ``lent`` what callers change in place, and ``errors`` says who is to blame.

``mcp_ts`` has the harnesses of upstream's stores, ``kit`` hands out what an author of a bridge begins with.
"""
