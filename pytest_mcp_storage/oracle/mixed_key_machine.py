"""State machines over handles with different keys: clear text next to ciphertext (MX-3), changing keys (MX-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.generators import changes, sessions
from pytest_mcp_storage.oracle.machine import SessionMachine
from pytest_mcp_storage.oracle.sequence_model import Sealed
from pytest_mcp_storage.oracle.store_model import Liveness, SessionKey
from reference_backends import DecryptionError, SessionData

CREDENTIALS = frozenset({"tokens", "headers"})
SECRETS = CREDENTIALS | {"code_verifier", "client_information"}
KEYS = tuple(f"{number:02x}" * 32 for number in range(1, 7))
MOST_KEYS = 3
IDENTITIES = st.sampled_from(["alice", "a:b"])
SESSION_IDS = st.sampled_from(["s", "b:s"])
WHICH = st.integers(0, 7)
"""Index of a session that was created. Drawn names would rarely meet one, and two handles rarely the same one."""


class MixedKeyMachine(SessionMachine):
    """A handle with a key and one without, which use the same sessions.

    If each handle is a separate store, each handle uses separate sessions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sealed: dict[SessionKey, dict[str, Sealed]] = {}
        self.created: dict[bool, list[SessionKey]] = {True: [], False: []}
        """Names of sessions that were created, by whether a handle with the key may use them."""

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions(), keyed=st.booleans())
    def creates(self, identity: str, session_id: str, content: SessionData, keyed: bool) -> None:
        self.do(self._creates(self._named(identity, session_id, keyed), content, keyed))

    @precondition(lambda self: self.model.kept)
    @rule(which=WHICH, named=changes(), keyed=st.booleans())
    def updates(self, which: int, named: dict[str, Any], keyed: bool) -> None:
        self.do(self._updates(self._known(which, keyed), named, keyed))

    @precondition(lambda self: len(self.model.kept) > 1)
    @rule(which=WHICH, keyed=st.booleans())
    def removes(self, which: int, keyed: bool) -> None:
        self.do(self._removes(self._known(which, keyed), keyed))

    @precondition(lambda self: any(self.created.values()))
    @rule(which=WHICH, keyed=st.booleans())
    def reads(self, which: int, keyed: bool) -> None:
        self.do(self._reads(self._known(which, keyed), keyed))

    def _named(self, identity: str, session_id: str, keyed: bool) -> SessionKey:
        return self.name(identity if keyed or self.context.one_store else f"{identity} in clear", session_id)

    def _known(self, which: int, keyed: bool) -> SessionKey:
        """Return a session that exists, or else one that existed; any name if none was ever created."""
        created = self.created[keyed] or [self._named("alice", "s", keyed)]
        there = [name for name in created if name in self.model.kept] or created
        return there[which % len(there)]

    async def _holder(self, keyed: bool) -> RecordingBackend:
        return await self.context.holder(*([self.context.key] if keyed else []))

    async def _creates(self, name: SessionKey, content: SessionData, keyed: bool) -> None:
        was_gone = self.model.liveness(name) is Liveness.GONE
        await self.create(await self._holder(keyed), name, content)
        if was_gone and self.model.liveness(name) is Liveness.LIVE:
            self.sealed[name] = {field: _written(field, keyed) for field in SECRETS}
            for of in {True, False} if self.context.one_store else {keyed}:
                self.created[of].append(name)

    async def _updates(self, name: SessionKey, named: dict[str, Any], keyed: bool) -> None:
        try:
            await self.update(await self._holder(keyed), name, named)
        except DecryptionError:
            if keyed or self._sealing([name]) is Sealed.NO:
                raise
            return  # a store that reads before it writes may refuse
        if self.model.liveness(name) is Liveness.LIVE:
            now = self.sealed[name]
            for field in SECRETS:
                if field in named:
                    now[field] = _written(field, keyed)
                elif keyed and now[field] is Sealed.NO:
                    now[field] = Sealed.PERHAPS
        await self._reads(name, keyed)

    async def _removes(self, name: SessionKey, keyed: bool) -> None:
        await self.remove(await self._holder(keyed), name)

    async def _reads(self, name: SessionKey, keyed: bool) -> None:
        store = await self._holder(keyed)
        if keyed:
            await self.get(store, name)
            await self.listing(store, name[0])
            return
        others = [(name[0], session_id) for session_id in self.model.of(name[0], Liveness.LIVE)]
        await self._ids_without_key(store, name[0])
        await self._reads_without_key(self.get(store, name), self._sealing([name]))
        await self._reads_without_key(self.listing(store, name[0]), self._sealing(others))

    async def _ids_without_key(self, store: RecordingBackend, identity: str) -> None:
        """Compare the ids: no key is needed to list them, so none may be missing if a session can't be decrypted."""
        live = sorted(self.model.of(identity, Liveness.LIVE))
        ids = sorted(await store.get_identity_mcp_sessions(identity))
        if ids != live:
            raise Violation(f"without a key get_identity_mcp_sessions returned {ids}", should=f"be {live}, each once")

    async def _reads_without_key(self, read: Awaitable[None], stored: Sealed) -> None:
        try:
            await read
        except DecryptionError:
            if stored is Sealed.NO:
                raise
        else:
            if stored is Sealed.YES:
                raise Violation("a handle without a key read a sealed session", should="raise DecryptionError")

    def _sealing(self, names: Iterable[SessionKey]) -> Sealed:
        """Return how the secrets of these sessions are stored, taken together."""
        found = {
            self.sealed[name][field]
            for name in names
            if self.model.liveness(name) is Liveness.LIVE
            for field in SECRETS
            if getattr(self.model.kept[name].session, field) is not None
        }
        return next((each for each in (Sealed.YES, Sealed.PERHAPS) if each in found), Sealed.NO)


def _written(field: str, keyed: bool) -> Sealed:
    if not keyed:
        return Sealed.NO
    return Sealed.YES if field in CREDENTIALS else Sealed.PERHAPS


class RotationMachine(SessionMachine):
    """A handle with several keys, newest first; keys are added, and removed once nothing is sealed with them.

    If each handle is a separate store, the keys stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ring = list(KEYS[:1] if self.context.one_store else KEYS[:2])

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions())
    def creates(self, identity: str, session_id: str, content: SessionData) -> None:
        self.do(self._creates(self.name(identity, session_id), content))

    @precondition(lambda self: self.model.kept)
    @rule(which=WHICH, named=changes())
    def updates(self, which: int, named: dict[str, Any]) -> None:
        self.do(self._updates(self._known(which), named))

    @rule(which=WHICH)
    def removes(self, which: int) -> None:
        self.do(self._removes(self._known(which)))

    @rule(identity=IDENTITIES)
    def reads(self, identity: str) -> None:
        self.do(self._reads(self.context.identity(identity)))

    @precondition(lambda self: self.context.one_store and len(self.ring) < MOST_KEYS)
    @rule()
    def gets_a_new_key(self) -> None:
        self.ring.insert(0, KEYS[(KEYS.index(self.ring[0]) + 1) % len(KEYS)])

    @precondition(lambda self: len(self.ring) > 1)
    @rule()
    def drops_the_oldest_key(self) -> None:
        self.do(self._seals_anew())
        if self.context.one_store:
            self.ring.pop()

    def _known(self, which: int) -> SessionKey:
        """Return a session that exists; any name if none does."""
        kept = list(self.model.kept)
        return kept[which % len(kept)] if kept else self.name("alice", "s")

    async def _holder(self) -> RecordingBackend:
        return await self.context.holder(*self.ring)

    async def _creates(self, name: SessionKey, content: SessionData) -> None:
        await self.create(await self._holder(), name, content)

    async def _updates(self, name: SessionKey, named: dict[str, Any]) -> None:
        await self.update(await self._holder(), name, named)
        await self.get(await self._holder(), name)

    async def _removes(self, name: SessionKey) -> None:
        await self.remove(await self._holder(), name)

    async def _reads(self, identity: str) -> None:
        store = await self._holder()
        for session_id in self.model.of(identity, Liveness.LIVE):
            await self.get(store, (identity, session_id))
        await self.listing(store, identity)

    async def _seals_anew(self) -> None:
        """Write every secret once more, as an application does before it removes a key."""
        for name, kept in list(self.model.kept.items()):
            secrets = {field: getattr(kept.session, field) for field in sorted(SECRETS)}
            await self.update(await self._holder(), name, secrets)
