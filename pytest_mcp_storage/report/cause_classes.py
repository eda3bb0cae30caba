"""Classes of causes: clauses that break for the same kind of mistake. A diagnosis names a class, not a clause."""

from __future__ import annotations

from collections.abc import Iterable

CLASSES = {
    "values": ("values change between write and read", "RT-1 RT-2 RT-3 RT-4 RT-5 RT-7"),
    "sharing": ("the store shares objects with its caller", "RT-6"),
    "creating": ("creating over another session goes wrong", "LC-1 EX-4"),
    "updates": ("an update changes or loses what it does not name", "LC-3 LC-4 EN-9"),
    "refusals": ("calls that should be refused are accepted, or change something", "LC-5 LC-6 LC-7 LC-9 EX-8 EX-3"),
    "removal": ("removed sessions are still found", "LC-8 LC-10"),
    "reopening": ("disconnect, init or a new open loses something", "LC-11 LC-12 DU-1 EX-11 CA-5"),
    "new ids": ("generated ids are not as they should be", "LC-13"),
    "listings": ("listings miss, repeat or invent sessions", "LC-2 ID-1 ID-2 ID-6 ID-7"),
    "names": ("names of identities or sessions are mixed up", "ID-3 ID-4 ID-5"),
    "expired": ("expired sessions are still there", "EX-2 EX-5"),
    "lifetime": ("sessions get a wrong time to live", "EX-1 EX-6 EX-7 EX-9 EX-10"),
    "in clear": ("secrets are stored in clear", "EN-1 EN-11 MX-2 MX-5"),
    "envelopes": ("envelopes are malformed, repeated or not verified", "EN-2 EN-3 EN-4"),
    "keys": ("keys are not checked or not used as given", "EN-5 EN-6 EN-7 EN-8 MX-1 MX-3 MX-4 MX-6"),
    "disclosure": ("messages or log records hold secrets", "EN-10"),
    "crashes": ("a crash, a damaged file or its mode endangers the data", "DU-2 DU-3 DU-4 DU-5"),
    "concurrency": ("concurrent calls interfere", "CO-1 CO-2 CO-3 CO-4 CO-5 CO-6 CO-7"),
    "cancellation": ("a cancelled call leaves something behind", "CA-1 CA-2 CA-3 CA-4"),
    "outages": ("failing requests are not handled", "FA-1 FA-2 FA-3 FA-4 FA-5"),
    "resources": ("handles leave resources behind", "RE-1 RE-2 RE-3"),
    "row security": ("row security admits or refuses the wrong user", "RS-1 RS-2 RS-3 RS-4 RS-5"),
    "harness": ("the harness declares what it does not do", "HA-1"),
}
"""Name -> the cause in words, and the clauses whose violation shows it first."""
_BY_CLAUSE = {clause: name for name, (_, clauses) in CLASSES.items() for clause in clauses.split()}


def classes_of(clauses: Iterable[str]) -> tuple[str, ...]:
    """Return the classes of some clauses, each once; a clause of a later revision is a separate class."""
    return tuple(dict.fromkeys(_BY_CLAUSE.get(clause, clause) for clause in clauses))


def words_of(name: str) -> str:
    """Return a class in words."""
    return CLASSES[name][0] if name in CLASSES else f"{name} is broken"
