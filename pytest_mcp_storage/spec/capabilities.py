"""What a harness can do with its store. Each is declared, and each declaration is checked (HA-1)."""

from __future__ import annotations

from enum import Enum


class Capability(Enum):
    """A documented fact about a store and its harness; clauses name the ones they need."""

    KEY = "open() takes an encryption key"
    DURABLE = "data outlives disconnect and a new open"
    SHARED = "two open handles see each other's writes"
    CLOCK = "open() takes a clock, so expiry needs no waiting"
    AT_REST = "the harness can show, and plant, what is stored"
    OUTAGE = "the harness can cut the store off"
    LOST_ANSWER = "the harness can let requests arrive and lose the answers"
    FAIL_STEP = "the harness can let one request of a call fail"
    SETUP = "the harness can take the store's table away, or make it an old one"
    FILES = "the store is made of files, which the suite may damage"
    CRASH = "another process can find the store, so that it can be killed while it writes"
    ROW_SECURITY = "the store can be opened as one of its users"
    DEFAULT_TTL = "open() takes a default TTL"

    @property
    def judges(self) -> str:
        """What of a store is judged only with this capability, in a few words."""
        return JUDGES.get(self.name, self.name.lower().replace("_", " "))

    def __repr__(self) -> str:
        return self.name


JUDGES = {
    "KEY": "encryption",
    "DURABLE": "durability",
    "SHARED": "several handles",
    "CLOCK": "long TTLs",
    "AT_REST": "stored data",
    "OUTAGE": "outages",
    "LOST_ANSWER": "lost answers",
    "FAIL_STEP": "calls of several requests",
    "SETUP": "missing tables",
    "FILES": "damaged files",
    "CRASH": "several processes",
    "ROW_SECURITY": "row security",
    "DEFAULT_TTL": "other default TTLs",
}
