"""How thorough a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """``examples`` of each property, ``steps`` of each state machine, ``shrinking`` a failure in seconds.

    ``listed``, ``clearing``, ``ids``: how many sessions ID-6 lists and LC-10 clears (of a slow store fewer), and how
    many ids LC-13 draws.
    ``kills``: how many processes DU-2 and DU-3 kill; ``faults``: how often FA-1 to FA-3 go through every method.
    ``filling_time``: seconds after which a slow store gets no more sessions for a large listing, and no more values
    that its source names.
    ``every_example``: slow stores get every example too.
    """

    name: str
    examples: int
    steps: int
    shrinking: float
    listed: int
    clearing: int
    ids: int
    kills: int
    faults: int
    every_example: bool = False
    filling_time: float = 300.0


TIERS = {
    tier.name: tier
    for tier in (
        Tier(
            "smoke",
            examples=8,
            steps=15,
            shrinking=3,
            listed=1100,
            clearing=300,
            ids=10_000,
            kills=1,
            faults=1,
            filling_time=10,
        ),
        Tier(
            "standard",
            examples=40,
            steps=25,
            shrinking=10,
            listed=2500,
            clearing=1100,
            ids=100_000,
            kills=5,
            faults=2,
            filling_time=60,
        ),
        Tier(
            "deep",
            examples=400,
            steps=50,
            shrinking=60,
            listed=2500,
            clearing=150_000,
            ids=100_000,
            kills=200,
            faults=25,
            every_example=True,
        ),
    )
}
