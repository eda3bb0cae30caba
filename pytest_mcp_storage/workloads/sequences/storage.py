"""Look at what is stored after a planned sequence: sealed values, no secret in clear, no IV twice."""

from __future__ import annotations

from pytest_mcp_storage.canary.canaries import Canaries
from pytest_mcp_storage.canary.envelopes import parse
from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.oracle.sequence_model import Sealed, Slot
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.describe import short_repr
from pytest_mcp_storage.workloads.sequences.player import Player
from pytest_mcp_storage.workloads.sequences.violations import SequenceViolation

SCAN_EVERY = 16
"""Runs after which a fast store is searched for secrets in clear."""
MARK = 12
"""Characters at the beginning of each secret that are in no other text."""
CHECK_EVERY = 8
"""Runs after which the stored fields of a slow store are looked at."""


class Storage:
    """The stored form of all runs' sessions. ``secret``: what each sealed secret begins with."""

    def __init__(self, context: TestContext) -> None:
        self.context = context
        self.canaries = Canaries()
        self.secret = self.canaries.secret("a secret of the sequences")
        self.ivs: dict[str, str] = {}
        self.can_check = context.can(Capability.KEY) and context.can(Capability.AT_REST)
        self.fast = context.environment.pace == 1

    async def check(self, player: Player, number: int, *, thorough: bool = False) -> None:
        """Look at the sessions of a run, and now and then, or if ``thorough``, at everything stored."""
        if not self.can_check:
            return
        if thorough or self.fast or number % CHECK_EVERY == 0:
            for slot in player.model.slots.values():
                await self._check_slot(slot, player)
        if thorough or (self.fast and number % SCAN_EVERY == 0):
            await self.scan(encodings=False)

    async def scan(self, *, encodings: bool) -> None:
        """Search everything stored for the secrets; with ``encodings`` in each of them, which takes long.

        Raises :class:`SequenceViolation`.
        """
        if not self.can_check:
            return
        data = await self.context.harness.stored_bytes()
        found = "a secret in clear" if self.secret[:MARK].encode() in data else ""
        if encodings and not found:
            found = self.canaries.found_in(data)
        if found:
            raise SequenceViolation("EN-1", "CLEAR", f"in the store is {found}", should="hold ciphertext only")

    async def _check_slot(self, slot: Slot, player: Player) -> None:
        expected = player.model.expected(slot)
        if slot.sealed is not Sealed.YES or not expected.live or slot.forgotten or len(slot.possible) > 1:
            return
        try:
            stored = await self.context.harness.stored_fields(*slot.name)
        except LookupError:
            return  # the reads have found it, and HA-1 judges the harness
        session = expected.sessions[0]
        for field in ("tokens", "headers"):
            if getattr(session, field) is None:
                continue
            envelope = parse(stored.get(field))
            if envelope is None:
                clause = "EN-9" if slot.last.name.startswith(("update", "renewal")) else "EN-1"
                clause = "MX-2" if slot.last.name == "update of secrets" else clause
                what = f"after {slot.last.name} the stored {field} are {short_repr(stored.get(field), 80)}"
                raise SequenceViolation(clause, "CLEAR FIELD", what, should="be an envelope")
            where = f"{slot.name[1]} {field}"
            if self.ivs.setdefault(envelope.iv, where) != where:
                raise SequenceViolation("EN-3", "IV", f"an IV occurs twice: {envelope.iv}", should="use a fresh IV")
