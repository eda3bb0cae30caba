"""The operations of which planned sequences are made, and what each does to the life of a session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pytest_mcp_storage.spec.capabilities import Capability

SHORT = 60
"""Seconds: a TTL that ends when a short time passes."""
LONG = 100_000
"""Seconds: a TTL that outlives the default one."""


class Target(Enum):
    """Which session an operation is about."""

    NEW = "one that is not live"
    LIVE = "the live one that was used last"
    GONE = "the one that was live last and is not any more"
    NONE = "none in particular"


class Effect(Enum):
    """What an operation does to its session, or to all."""

    NONE = "nothing"
    CREATES = "it is live from now on"
    RENEWS = "it has a new end"
    REMOVES = "it is gone"
    CLEARS = "all are gone"
    PASSES_TIME = "those that have ended are gone"
    REOPENS = "a store that is not DURABLE may have lost all"
    UNCERTAIN = "it may have been changed or not"


@dataclass(frozen=True)
class Operation:
    """One operation. ``clause``: what is broken if it does not do what it says; ``harm``: if it changes anything else.

    ``seconds``: of a TTL, or that pass; with ``past_default`` they are added to the store's default TTL. ``core``: part
    of the triples; ``risky``: of the quadruples; ``cheap``: of the sequences that run next to many other sessions.
    """

    name: str
    target: Target
    effect: Effect
    clause: str
    harm: str
    seconds: float | None = None
    needs: frozenset[Capability] = frozenset()
    store_wide: bool = False
    core: bool = False
    risky: bool = False
    cheap: bool = False
    past_default: bool = False

    def lasts(self, default_ttl: float) -> float:
        """Return the seconds of the TTL, or that pass, on a store with this default TTL."""
        return (self.seconds or 0) + (default_ttl if self.past_default else 0)

    @property
    def only_reads(self) -> bool:
        """Whether it leaves the store as it is, and does so without a fault."""
        return self.name in READS

    @property
    def fault(self) -> bool:
        """Whether a call of it fails or is cancelled on purpose, or the handle is closed."""
        return self.name in FAULTS


_KEYS = frozenset({Capability.KEY, Capability.SHARED})
_CLOCK = frozenset({Capability.CLOCK})
_OUTAGE = frozenset({Capability.OUTAGE})
_LOST = frozenset({Capability.LOST_ANSWER})

ALL_OPERATIONS = (
    Operation("create", Target.NEW, Effect.CREATES, "RT-1", "RT-1", core=True, cheap=True, past_default=True),
    Operation("create with ttl", Target.NEW, Effect.CREATES, "RT-1", "RT-1", SHORT, core=True, risky=True, cheap=True),
    Operation("create in clear", Target.NEW, Effect.CREATES, "MX-1", "MX-3", 0, _KEYS, core=True, past_default=True),
    Operation("create again", Target.LIVE, Effect.NONE, "LC-1", "LC-1", core=True, cheap=True),
    Operation("update", Target.LIVE, Effect.RENEWS, "LC-3", "LC-3", core=True, cheap=True, past_default=True),
    Operation("update with ttl", Target.LIVE, Effect.RENEWS, "LC-3", "LC-3", SHORT, core=True, risky=True),
    Operation("update of secrets", Target.LIVE, Effect.RENEWS, "LC-3", "LC-3", core=True, risky=True,
              past_default=True),
    Operation("update in clear", Target.LIVE, Effect.RENEWS, "MX-3", "MX-3", 0, _KEYS, past_default=True),
    Operation("revocation", Target.LIVE, Effect.RENEWS, "LC-4", "LC-3", past_default=True),
    Operation("renewal", Target.LIVE, Effect.RENEWS, "LC-3", "LC-3", core=True, past_default=True),
    Operation("renewal with ttl", Target.LIVE, Effect.RENEWS, "LC-3", "LC-3", LONG, core=True, risky=True, cheap=True),
    Operation("refused update", Target.LIVE, Effect.NONE, "LC-6", "LC-7", core=True),
    Operation("update of a missing session", Target.GONE, Effect.NONE, "LC-5", "LC-5", core=True, cheap=True),
    Operation("update by another identity", Target.LIVE, Effect.NONE, "LC-5", "LC-5"),
    Operation("remove", Target.LIVE, Effect.REMOVES, "LC-8", "LC-8", core=True, risky=True, cheap=True),
    Operation("remove of a missing session", Target.GONE, Effect.NONE, "LC-8", "LC-8"),
    Operation("remove by another identity", Target.LIVE, Effect.NONE, "LC-8", "LC-8"),
    Operation("get", Target.LIVE, Effect.NONE, "RT-1", "RT-1", core=True, risky=True),
    Operation("get of a missing session", Target.GONE, Effect.NONE, "LC-2", "LC-2"),
    Operation("get by another identity", Target.LIVE, Effect.NONE, "ID-5", "ID-5"),
    Operation("listing", Target.NONE, Effect.NONE, "ID-1", "ID-1", core=True, cheap=True),
    Operation("listing of ids", Target.NONE, Effect.NONE, "ID-2", "ID-2", cheap=True),
    Operation("all ids", Target.NONE, Effect.NONE, "ID-7", "ID-7", store_wide=True, cheap=True),
    Operation(
        "cleanup", Target.NONE, Effect.NONE, "EX-5", "EX-5", store_wide=True, core=True, risky=True, cheap=True
    ),
    Operation("clear", Target.NONE, Effect.CLEARS, "LC-10", "LC-10", store_wide=True, core=True),
    Operation("short time", Target.NONE, Effect.PASSES_TIME, "EX-1", "EX-1", SHORT + 2, _CLOCK, core=True, risky=True,
              cheap=True),
    Operation("long time", Target.NONE, Effect.PASSES_TIME, "EX-1", "EX-1", 2, _CLOCK, core=True, past_default=True),
    Operation("disconnect and init", Target.NONE, Effect.REOPENS, "LC-11", "LC-11", core=True, risky=True),
    Operation("read with another key", Target.LIVE, Effect.NONE, "EN-5", "EN-6", needs=_KEYS, core=True),
    Operation("read without a key", Target.LIVE, Effect.NONE, "EN-5", "EN-6", needs=_KEYS),
    Operation("cancelled update", Target.LIVE, Effect.UNCERTAIN, "CA-1", "CA-2", core=True, risky=True),
    Operation("cancelled create", Target.NEW, Effect.UNCERTAIN, "CA-1", "CA-2", SHORT),
    Operation("cancelled get", Target.LIVE, Effect.NONE, "CA-4", "CA-2"),
    Operation("read in an outage", Target.LIVE, Effect.NONE, "FA-1", "FA-2", needs=_OUTAGE, core=True),
    Operation("update in an outage", Target.LIVE, Effect.UNCERTAIN, "FA-1", "FA-2", needs=_OUTAGE),
    Operation("create without an answer", Target.NEW, Effect.UNCERTAIN, "FA-3", "FA-3", SHORT, _LOST),
    Operation("update without an answer", Target.LIVE, Effect.UNCERTAIN, "FA-3", "FA-3", SHORT, _LOST),
)  # fmt: skip
READS = {"get", "get of a missing session", "get by another identity", "listing", "listing of ids", "all ids"}
FAULTS = {
    "disconnect and init", "cancelled update", "cancelled create", "cancelled get", "read in an outage",
    "update in an outage", "create without an answer", "update without an answer",
}  # fmt: skip
BY_NAME = {each.name: each for each in ALL_OPERATIONS}


def operations_for(capabilities: frozenset[Capability], *, store_wide: bool) -> tuple[Operation, ...]:
    """Return those that a harness with these capabilities can do."""
    return tuple(each for each in ALL_OPERATIONS if each.needs <= capabilities and (store_wide or not each.store_wide))
