"""State machines over handles with different keys: clear text beside ciphertext (MX-3), and keys that change (MX-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pytest_mcp_storage.measuring.violation import Violation
from pytest_mcp_storage.measuring.witness import Witness
from pytest_mcp_storage.oracle.machine import SessionMachine
from pytest_mcp_storage.oracle.model import Name, Presence
from pytest_mcp_storage.oracle.strategies import changes, sessions
from reference_backends import DecryptionError, SessionData

CREDENTIALS = frozenset({"tokens", "headers"})
SECRETS = CREDENTIALS | {"code_verifier", "client_information"}
KEYS = tuple(f"{number:02x}" * 32 for number in range(1, 7))
MOST_KEYS = 3
IDENTITIES = st.sampled_from(["alice", "a:b"])
SESSION_IDS = st.sampled_from(["s", "b:s"])
"""Few names, so that handles with different keys often meet on one session."""


class Sealed(Enum):
    """How a stored field lies there. ``PERHAPS``: a store may seal it (EN-11, MX-5), and need not."""

    NO = "in clear"
    YES = "sealed"
    PERHAPS = "sealed or in clear"


class MixtureMachine(SessionMachine):
    """A handle with a key and one without, at work on the same sessions.

    Where each handle is a store of its own, each works on sessions of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sealed: dict[Name, dict[str, Sealed]] = {}

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions(), keyed=st.booleans())
    def creates(self, identity: str, session_id: str, content: SessionData, keyed: bool) -> None:
        self.do(self._creates(self._named(identity, session_id, keyed), content, keyed))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, named=changes(), keyed=st.booleans())
    def updates(self, identity: str, session_id: str, named: dict[str, Any], keyed: bool) -> None:
        self.do(self._updates(self._named(identity, session_id, keyed), named, keyed))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, keyed=st.booleans())
    def removes(self, identity: str, session_id: str, keyed: bool) -> None:
        self.do(self._removes(self._named(identity, session_id, keyed), keyed))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, keyed=st.booleans())
    def reads(self, identity: str, session_id: str, keyed: bool) -> None:
        self.do(self._reads(self._named(identity, session_id, keyed), keyed))

    def _named(self, identity: str, session_id: str, keyed: bool) -> Name:
        return self.name(identity if keyed or self.trial.one_store else f"{identity} in clear", session_id)

    async def _holder(self, keyed: bool) -> Witness:
        return await self.trial.holder(*([self.trial.key] if keyed else []))

    async def _creates(self, name: Name, content: SessionData, keyed: bool) -> None:
        identity, session_id = name
        session = content.model_copy(update={"identity": identity, "session_id": session_id})
        taken = self.model.presence(name) is Presence.GONE
        await self.create(await self._holder(keyed), session)
        if taken and self.model.presence(name) is Presence.LIVE:
            self.sealed[name] = {field: _written(field, keyed) for field in SECRETS}

    async def _updates(self, name: Name, named: dict[str, Any], keyed: bool) -> None:
        try:
            await self.update(await self._holder(keyed), name, named)
        except DecryptionError:
            if keyed or self._lies([name]) is Sealed.NO:
                raise
            return  # a store that reads before it writes may refuse
        if self.model.presence(name) is Presence.LIVE:
            now = self.sealed[name]
            for field in SECRETS:
                if field in named:
                    now[field] = _written(field, keyed)
                elif keyed and now[field] is Sealed.NO:
                    now[field] = Sealed.PERHAPS
        await self._reads(name, keyed)

    async def _removes(self, name: Name, keyed: bool) -> None:
        await self.remove(await self._holder(keyed), name)

    async def _reads(self, name: Name, keyed: bool) -> None:
        store = await self._holder(keyed)
        if keyed:
            await self.get(store, name)
            await self.listing(store, name[0])
            return
        beside = [(name[0], session_id) for session_id in self.model.of(name[0], Presence.LIVE)]
        await self._reads_without_key(self.get(store, name), self._lies([name]))
        await self._reads_without_key(self.listing(store, name[0]), self._lies(beside))

    async def _reads_without_key(self, read: Awaitable[None], lies: Sealed) -> None:
        try:
            await read
        except DecryptionError:
            if lies is Sealed.NO:
                raise
        else:
            if lies is Sealed.YES:
                raise Violation("a handle without a key read a sealed session", should="raise DecryptionError")

    def _lies(self, names: Iterable[Name]) -> Sealed:
        """How the secrets of these sessions lie in the store, taken together."""
        found = {
            self.sealed[name][field]
            for name in names
            if self.model.presence(name) is Presence.LIVE
            for field in SECRETS
            if getattr(self.model.kept[name].session, field) is not None
        }
        return next((each for each in (Sealed.YES, Sealed.PERHAPS) if each in found), Sealed.NO)


def _written(field: str, keyed: bool) -> Sealed:
    if not keyed:
        return Sealed.NO
    return Sealed.YES if field in CREDENTIALS else Sealed.PERHAPS


class RotationMachine(SessionMachine):
    """A handle with several keys, newest first; keys are added, and dropped once nothing is sealed with them.

    Where each handle is a store of its own the keys stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ring = list(KEYS[:1] if self.trial.one_store else KEYS[:2])

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions())
    def creates(self, identity: str, session_id: str, content: SessionData) -> None:
        self.do(self._creates(self.name(identity, session_id), content))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, named=changes())
    def updates(self, identity: str, session_id: str, named: dict[str, Any]) -> None:
        self.do(self._updates(self.name(identity, session_id), named))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS)
    def removes(self, identity: str, session_id: str) -> None:
        self.do(self._removes(self.name(identity, session_id)))

    @rule(identity=IDENTITIES)
    def reads(self, identity: str) -> None:
        self.do(self._reads(self.trial.identity(identity)))

    @precondition(lambda self: self.trial.one_store and len(self.ring) < MOST_KEYS)
    @rule()
    def gets_a_new_key(self) -> None:
        self.ring.insert(0, KEYS[(KEYS.index(self.ring[0]) + 1) % len(KEYS)])

    @precondition(lambda self: len(self.ring) > 1)
    @rule()
    def drops_the_oldest_key(self) -> None:
        self.do(self._seals_anew())
        if self.trial.one_store:
            self.ring.pop()

    async def _holder(self) -> Witness:
        return await self.trial.holder(*self.ring)

    async def _creates(self, name: Name, content: SessionData) -> None:
        identity, session_id = name
        session = content.model_copy(update={"identity": identity, "session_id": session_id})
        await self.create(await self._holder(), session)

    async def _updates(self, name: Name, named: dict[str, Any]) -> None:
        await self.update(await self._holder(), name, named)
        await self.get(await self._holder(), name)

    async def _removes(self, name: Name) -> None:
        await self.remove(await self._holder(), name)

    async def _reads(self, identity: str) -> None:
        store = await self._holder()
        for session_id in self.model.of(identity, Presence.LIVE):
            await self.get(store, (identity, session_id))
        await self.listing(store, identity)

    async def _seals_anew(self) -> None:
        """What an application does before it drops a key: it writes every secret once more."""
        for name, kept in list(self.model.kept.items()):
            secrets = {field: getattr(kept.session, field) for field in sorted(SECRETS)}
            await self.update(await self._holder(), name, secrets)
