"""State machines: a store must return for any sequence of calls what the model returns."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from pytest_mcp_storage.engine.context import TestContext
from pytest_mcp_storage.engine.executor import Executor
from pytest_mcp_storage.engine.recording import RecordingBackend
from pytest_mcp_storage.engine.violation import Violation, outcome_of
from pytest_mcp_storage.oracle.generators import changes, sessions, ttls
from pytest_mcp_storage.oracle.store_model import Liveness, Model, SessionKey
from pytest_mcp_storage.spec.comparison import difference
from pytest_mcp_storage.spec.describe import describe
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError

IDENTITIES = st.sampled_from(["alice", "alice2", "a:b"])
SESSION_IDS = st.sampled_from(["s", "S", "b:s", "s%"])


class SessionMachine(RuleBasedStateMachine):
    """Base class: a store, its model, and calls that compare the two.

    ``executor`` and ``context`` are set before the run.
    """

    executor: ClassVar[Executor]
    context: ClassVar[TestContext]

    def __init__(self) -> None:
        super().__init__()
        self.executor.begin()
        self.model = Model(self.context.now, self.context.default_ttl)

    def do(self, work: Awaitable[Any]) -> Any:
        """Await work on the suite's loop."""
        return self.executor.call(lambda: work)

    def name(self, identity: str, session_id: str) -> SessionKey:
        """Return the drawn name as this example's name."""
        return self.context.identity(identity), self.context.session_id(session_id)

    async def create(
        self, store: RecordingBackend, name: SessionKey, content: SessionData, ttl: float | None = None
    ) -> None:
        """Create a session like ``content``, and compare: refused if it is live, accepted if it is not."""
        session = content.model_copy(update={"identity": name[0], "session_id": name[1]})
        liveness = self.model.liveness(name)
        got = await outcome_of(store.create_session(session, ttl))
        refused = isinstance(got, SessionExistsError)
        if isinstance(got, Exception) and not refused:
            raise got
        may_refuse = liveness is not Liveness.GONE or self.model.id_is_taken(name)
        if refused and not may_refuse:
            raise Violation(f"create_session {describe(got)}", should="take it: no such session is live")
        if not refused and liveness is Liveness.LIVE:
            raise Violation("create_session accepted a session that is live", should="raise SessionExistsError")
        if not refused:
            self.model.created(session, ttl)

    async def update(
        self, store: RecordingBackend, name: SessionKey, named: dict[str, Any], ttl: float | None = None
    ) -> None:
        """Update, and compare: accepted if the session is live, refused if it is not."""
        liveness = self.model.liveness(name)
        got = await outcome_of(store.update_session(*name, named, ttl))
        refused = isinstance(got, SessionNotFoundError)
        if isinstance(got, Exception) and not refused:
            raise got
        if refused and liveness is Liveness.LIVE:
            raise Violation(f"update_session {describe(got)}", should="change it: the session is live")
        if not refused and liveness is Liveness.GONE:
            raise Violation("update_session accepted a session that is not live", should="raise SessionNotFoundError")
        if not refused:
            self.model.updated(name, named, ttl)

    async def remove(self, store: RecordingBackend, name: SessionKey) -> None:
        """Remove it."""
        await store.remove_session(*name)
        self.model.removed(name)

    async def get(self, store: RecordingBackend, name: SessionKey, *, whole: bool = True) -> None:
        """Read the session, and compare; not ``whole``: only whether it exists."""
        liveness = self.model.liveness(name)
        seen = await store.get_session(*name)
        if liveness is Liveness.GONE and seen is not None:
            raise Violation("get_session returned a session that is not live", should="return None")
        if liveness is Liveness.LIVE:
            found = difference(seen, self.model.kept[name].session) if whole or seen is None else ""
            if found:
                raise Violation(f"get_session returned {found}", should="return what the calls before it stored")

    async def listing(self, store: RecordingBackend, identity: str, *, whole: bool = True) -> None:
        """Read both listings of an identity, and compare."""
        live = self.model.of(identity, Liveness.LIVE)
        allowed = self.model.of(identity, Liveness.LIVE, Liveness.UNSURE)
        ids = await store.get_identity_mcp_sessions(identity)
        data = await store.get_identity_sessions_data(identity)
        for method, seen in (
            ("get_identity_mcp_sessions", ids),
            ("get_identity_sessions_data", [each.session_id for each in data]),
        ):
            if not set(live) <= set(seen) <= set(allowed) or len(seen) != len(set(seen)):
                raise Violation(f"{method} returned the ids {sorted(seen)}", should=f"be {sorted(live)}, each once")
        for each in data if whole else ():
            if found := difference(each, allowed[each.session_id]):
                raise Violation(f"get_identity_sessions_data returned {found}", should="return each session whole")


class LifeCycleMachine(SessionMachine):
    """Creates, updates, removals and reads of one session after another."""

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions())
    def creates(self, identity: str, session_id: str, content: SessionData) -> None:
        self.do(self._creates(self.name(identity, session_id), content))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, named=changes())
    def updates(self, identity: str, session_id: str, named: dict[str, Any]) -> None:
        self.do(self._updates(self.name(identity, session_id), named))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS)
    def removes(self, identity: str, session_id: str) -> None:
        self.do(self._removes(self.name(identity, session_id)))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS)
    def reads(self, identity: str, session_id: str) -> None:
        self.do(self._reads(self.name(identity, session_id)))

    async def _creates(self, name: SessionKey, content: SessionData) -> None:
        await self.create(await self.context.store(), name, content)

    async def _updates(self, name: SessionKey, named: dict[str, Any]) -> None:
        await self.update(await self.context.store(), name, named)
        await self._reads(name)

    async def _removes(self, name: SessionKey) -> None:
        await self.remove(await self.context.store(), name)

    async def _reads(self, name: SessionKey) -> None:
        await self.get(await self.context.store(), name)


class ListingMachine(LifeCycleMachine):
    """The same, read by the identity listings."""

    async def _reads(self, name: SessionKey) -> None:
        await self.listing(await self.context.store(), name[0])


class ExpiryMachine(SessionMachine):
    """Sessions of many TTLs, time that passes, and renewals; reads are compared by which sessions exist."""

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, content=sessions(), ttl=ttls(100))
    def creates(self, identity: str, session_id: str, content: SessionData, ttl: float) -> None:
        self.do(self._creates(self.name(identity, session_id), content, ttl))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS, ttl=ttls(100))
    def renews(self, identity: str, session_id: str, ttl: float) -> None:
        self.do(self._renews(self.name(identity, session_id), ttl))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS)
    def reads(self, identity: str, session_id: str) -> None:
        self.do(self._reads(self.name(identity, session_id)))

    @rule(identity=IDENTITIES, session_id=SESSION_IDS)
    def removes(self, identity: str, session_id: str) -> None:
        self.do(self._removes(self.name(identity, session_id)))

    @rule(seconds=st.sampled_from([0.5, 2, 5, 30, 101]))
    def waits(self, seconds: float) -> None:
        self.do(self.context.pass_time(seconds))

    @precondition(lambda self: self.context.store_is_ours)
    @rule()
    def cleans_up(self) -> None:
        self.do(self._cleans_up())

    async def _creates(self, name: SessionKey, content: SessionData, ttl: float) -> None:
        await self.create(await self.context.store(), name, content, ttl)

    async def _renews(self, name: SessionKey, ttl: float) -> None:
        await self.update(await self.context.store(), name, {}, ttl)

    async def _removes(self, name: SessionKey) -> None:
        await self.remove(await self.context.store(), name)

    async def _reads(self, name: SessionKey) -> None:
        store = await self.context.store()
        await self.get(store, name, whole=False)
        await self.listing(store, name[0], whole=False)

    async def _cleans_up(self) -> None:
        await (await self.context.store()).cleanup_expired_sessions()
        self.model.forget_expired()
