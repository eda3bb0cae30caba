"""How thorough a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """``examples`` of each property, ``steps`` of each state machine, ``shrinking`` a failure in seconds.

    ``unhurried``: slow stores get every example too.
    """

    name: str
    examples: int
    steps: int
    shrinking: float
    bulk: int
    """How many sessions make a large number, where a clause speaks of any number."""
    unhurried: bool = False


TIERS = {
    tier.name: tier
    for tier in (
        Tier("smoke", examples=8, steps=15, shrinking=3, bulk=300),
        Tier("standard", examples=40, steps=25, shrinking=10, bulk=2500),
        Tier("deep", examples=400, steps=50, shrinking=60, bulk=10000, unhurried=True),
    )
}
DEFAULT_TIER = "standard"
