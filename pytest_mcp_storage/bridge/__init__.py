"""Stores in other languages, behind a program that speaks the bridge protocol (docs/bridge-protocol.md).

``names`` turns the name of a backend into its harness, ``harness`` drives the program, ``backend`` is one of its
handles, ``wire`` matches answers to calls, ``child`` owns the process, ``values`` carries what JSON does not.
"""
