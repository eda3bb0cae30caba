"""The Supabase store: a project that this run starts, or one that it is given."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pytest_mcp_storage.faults import Fault, FaultProxy
from pytest_mcp_storage.faults.proxy import OF_ONE_REQUEST
from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.harnesses.supabase_clients import Clients
from pytest_mcp_storage.harnesses.supabase_database import Database
from pytest_mcp_storage.harnesses.supabase_server import out_of_reach, server_of
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness, NotMeasurable
from pytest_mcp_storage.stacks.supabase.stack import Say, StackServer, SupabaseStack

if TYPE_CHECKING:
    from supabase import AsyncClient

    from reference_backends import Clock, SessionData, SupabaseStorageBackend

logger = logging.getLogger("pytest_mcp_storage")

CHOICE_VARIABLE = "MCP_STORAGE_SUPABASE"
"""The environment variable in which ``--mcp-supabase`` names a provider."""

_ALWAYS = frozenset(
    {
        Capability.KEY,
        Capability.DURABLE,
        Capability.SHARED,
        Capability.CLOCK,
        Capability.DEFAULT_TTL,
        Capability.CRASH,
    }
)


class SupabaseHarness(BackendHarness):
    """Drives :class:`reference_backends.SupabaseStorageBackend`.

    On a server that this run started each harness has its own database. On a project that it was given
    (``SUPABASE_URL``) it is not ``dedicated``, removes the rows that it created and no others, and declares only what
    it can do there: AT_REST needs ``SUPABASE_DB_URL``, ROW_SECURITY ``SUPABASE_PUBLISHABLE_KEY`` (or
    ``SUPABASE_ANON_KEY``) and ``SUPABASE_JWT_SIGNING_KEY`` (or ``SUPABASE_JWT_SECRET``); OUTAGE, LOST_ANSWER and
    FAIL_STEP need plain HTTP, and SETUP a server that this run started.
    """

    name: ClassVar[str] = "supabase"
    capabilities = _ALWAYS | {
        Capability.AT_REST,
        Capability.OUTAGE,
        Capability.LOST_ANSWER,
        Capability.FAIL_STEP,
        Capability.SETUP,
        Capability.ROW_SECURITY,
    }
    provider: ClassVar[str | None] = None
    """The provider of the stack; ``None``: as ``--mcp-supabase`` says."""
    say: ClassVar[Say] = staticmethod(logger.info)
    """Gets lines that report progress while the stack starts."""

    def __init__(self) -> None:
        self._server: StackServer | None = None
        self._stack: SupabaseStack | None = None
        self._database: Database | None = None
        self._proxy: FaultProxy | None = None
        self._clients = Clients()
        self._tokens_taken = False
        self._created: set[tuple[str, str]] = set()
        self._opening = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            return self  # attached to a store that another harness has provisioned
        async with AsyncExitStack() as opening:
            server = self._server = await asyncio.to_thread(server_of, self._provider, type(self).say)
            stack = self._stack = await asyncio.to_thread(server.store)
            opening.push_async_callback(asyncio.to_thread, server.drop, stack)
            self.dedicated = stack.isolated
            self.capabilities = type(self).capabilities - out_of_reach(server, stack)
            if stack.database_url is not None:
                folder = server.facts().get("data_directory") if stack.owned else None
                data = Path(folder) if folder else None
                self._database = await Database.connect(stack.database_url, data, owned=stack.owned)
                opening.push_async_callback(self._database.close)
            if Capability.OUTAGE in self.capabilities:
                parts = urlsplit(stack.url)
                proxy = FaultProxy((parts.hostname or "localhost", parts.port or 80))
                self._proxy = await opening.enter_async_context(proxy)
            self._opening = opening.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        async with self._opening:
            try:
                if not self.dedicated:
                    await self._remove_created()
            finally:
                await self._clients.close()

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> SupabaseStorageBackend:
        """Open a new handle, as the service role.

        It is opened with ``seal_all`` to meet EN-11: ``@mcp-ts/sdk`` could read such rows, except ``code_verifier`` and
        the ``client_secret``.
        """
        stack = self._in_use
        return await self._opened(
            await self._clients.of(stack.url, stack.server_key or stack.public_key),
            sees_all=stack.server_key is not None,
            **backend_options(encryption_key, clock, default_ttl),
        )

    async def stored_bytes(self) -> bytes:
        """Yield the rows of all tables; on a server of this run also the database's files and write-ahead log."""
        return await self._behind.everything()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        return await self._behind.secrets(identity, session_id)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        await self._behind.plant(identity, session_id, field, value)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Refuse connections to the project in the block."""
        async with self._fault(Fault.REFUSE):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        """Let the project execute requests in the block, and lose its answers."""
        async with self._fault(Fault.DROP_ANSWER):
            yield

    @asynccontextmanager
    async def fail_request(self, k: int, how: str) -> AsyncIterator[None]:
        """Inside it one request is lost on the way to the project, or its answer is lost or late."""
        if how not in OF_ONE_REQUEST:
            raise NotMeasurable("a proxy knows no protocol, so it can't answer with a conflict")
        async with self._fault(OF_ONE_REQUEST[how], after=k - 1, once=True):
            yield

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        """Let ``open`` use another database in the block: without the table, or with one that lacks a column."""
        assert self._server is not None
        usual = self._in_use
        self._stack = own_stack = await asyncio.to_thread(self._server.store, migrated=how == "old")
        try:
            if how == "old":
                assert own_stack.database_url is not None
                database = await Database.connect(own_stack.database_url, owned=own_stack.owned)
                await database.execute("alter table public.mcp_sessions drop column client_id")
                await database.close()
            yield
        finally:
            self._stack = usual
            await asyncio.to_thread(self._server.drop, own_stack)

    def locator(self) -> Mapping[str, Any]:
        """Return the project's URL and the key that ``open`` uses."""
        stack = self._in_use
        return {"url": stack.url, "key": stack.server_key or stack.public_key}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        harness = cls()
        harness.capabilities = _ALWAYS
        harness._stack = SupabaseStack(
            url=locator["url"],
            anon_key=None,
            service_role_key=locator["key"],
            jwt_secret=None,
            database_url=None,
            provider="url",
            owned=False,
            isolated=True,
        )
        return harness

    async def open_as(self, user: str | None) -> SupabaseStorageBackend:
        return await self._opened(await self._client_of(user))

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        client = await self._client_of(user)
        self._created.add((session.identity, session.session_id))
        await self._clients.write_row(client, session, owner)

    async def check_tokens(self) -> None:
        """Raise :class:`NotMeasurable` if the project refuses a token that this run has signed.

        It would refuse every token, which says nothing about the store.
        """
        stack = self._in_use
        if self._tokens_taken:
            return
        if (refusal := await self._clients.refusal(stack.url, stack.public_key, stack.token("anybody"))) is not None:
            signer = "SUPABASE_JWT_SIGNING_KEY" if stack.signing_key else "SUPABASE_JWT_SECRET"
            raise NotMeasurable(
                f"the project refuses the token that the suite signed for a user ({refusal}): check {signer}; for a "
                "project that signs with ES256 or RS256 set SUPABASE_JWT_SIGNING_KEY to its private key"
            )
        self._tokens_taken = True

    async def _client_of(self, user: str | None) -> AsyncClient:
        """Return a client of a signed-in user, or of a caller who is not signed in."""
        await self.check_tokens()
        stack = self._in_use
        return await self._clients.of(stack.url, stack.public_key, None if user is None else stack.token(user))

    async def _opened(self, client: Any, *, sees_all: bool = False, **options: Any) -> SupabaseStorageBackend:
        from reference_backends.supabase.backend import SupabaseStorageBackend

        created = self._created

        class RecordingCreates(SupabaseStorageBackend):
            """Records the sessions that it creates, so that they can be removed from a shared project."""

            async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
                try:
                    await super().create_session(session, ttl)
                finally:
                    created.add((session.identity, session.session_id))

            async def remove_session(self, identity: str, session_id: str) -> None:
                ours = created & {(identity, session_id)} if sees_all else set()
                created.difference_update(ours)
                try:
                    await super().remove_session(identity, session_id)
                except BaseException:
                    created.update(ours)
                    raise

        backend = (SupabaseStorageBackend if self.dedicated else RecordingCreates)(client, seal_all=True, **options)
        await backend.init()
        return backend

    async def _remove_created(self) -> None:
        backend = await self.open()
        for identity, session_id in tuple(self._created):
            await backend.remove_session(identity, session_id)

    @asynccontextmanager
    async def _fault(self, fault: Fault, *, after: int = 0, once: bool = False) -> AsyncIterator[None]:
        """Send requests through a proxy with that fault; without a fault none is used, because it halves the rate."""
        assert self._proxy is not None
        async with self._proxy.fault(fault, after=after, once=once):
            self._clients.detour = (self._proxy.host, self._proxy.port)
            try:
                yield
            finally:
                self._clients.detour = None

    @property
    def _provider(self) -> str:
        return self.provider or os.environ.get(CHOICE_VARIABLE) or "auto"

    @property
    def _in_use(self) -> SupabaseStack:
        if self._stack is None:
            raise RuntimeError("the harness has no project yet: use it in `async with SupabaseHarness() as harness`")
        return self._stack

    @property
    def _behind(self) -> Database:
        assert self._database is not None, "AT_REST is declared only with a database connection"
        return self._database
