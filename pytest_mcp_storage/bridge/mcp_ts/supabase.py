"""Upstream's sessions in the Supabase table of upstream's migration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pytest_mcp_storage.bridge.backend import BridgeBackend
from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.mcp_ts.harness import McpTsHarness
from pytest_mcp_storage.bridge.mcp_ts.package import installed
from pytest_mcp_storage.harnesses.supabase import SupabaseHarness
from pytest_mcp_storage.spec.capabilities import Capability
from reference_backends import SessionData

if TYPE_CHECKING:
    from httpx import AsyncClient

MIGRATION = "20260330195700_install_mcp_sessions.sql"
"""Upstream's table. Its other migration schedules a clean-up, on which the contract does not depend."""

GRANTED_BY_DEFAULT = "grant all on public.mcp_sessions to anon, authenticated, service_role"
"""What projects granted on a new table when upstream's migration was written; it grants nothing itself."""

BREAK = {
    "missing": "public.mcp_sessions rename to mcp_away",
    "old": "public.mcp_sessions rename column client_id to mcp_away",
}
RESTORE = {
    "missing": "public.mcp_away rename to mcp_sessions",
    "old": "public.mcp_sessions rename column mcp_away to client_id",
}

RELOAD_LIMIT = 10.0
"""Seconds within which PostgREST must have read a changed table; it takes about a tenth of a second."""


class UpstreamProject(SupabaseHarness):
    """A project of this run with upstream's table, behind the harness's proxy."""

    async def __aenter__(self) -> Self:
        attached = self._stack is not None
        await super().__aenter__()
        if attached:
            return self
        try:
            await self._make_upstreams()
        except BaseException:
            await super().__aexit__(None, None, None)
            raise
        return self

    @property
    def variables(self) -> Mapping[str, str]:
        """Return the variables that upstream's documentation asks for; the URL is the proxy's if there is one."""
        stack = self._in_use
        return {
            "SUPABASE_URL": f"http://{self._proxy.host}:{self._proxy.port}" if self._proxy else stack.url,
            "SUPABASE_SERVICE_ROLE_KEY": stack.server_key or "",
            "SUPABASE_ANON_KEY": stack.public_key or "",
        }

    async def holds(self, identity: str, session_id: str) -> bool:
        """Return whether the table has a row of that session. Ask PostgREST: an attached harness has nothing else."""
        async with self._rest() as client:
            row = {"identity": f"eq.{identity}", "session_id": f"eq.{session_id}"}
            answer = await client.get(f"{self._in_use.url}/rest/v1/mcp_sessions", params={"select": "id", **row})
        return answer.is_success and len(answer.json()) == 1

    def login(self, user: str | None) -> str:
        """Return the key of a client of a signed-in user, or of a caller who is not signed in."""
        return (self._in_use.public_key or "") if user is None else self._in_use.token(user)

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        """Rename the table or its last column in the block: upstream reads its project's variables only once."""
        await self._behind.execute(f"alter table {BREAK[how]}")
        await self._reloaded(usable=False)
        try:
            yield
        finally:
            await self._behind.execute(f"alter table {RESTORE[how]}")
            await self._reloaded(usable=True)

    async def _make_upstreams(self) -> None:
        """Replace the table by upstream's."""
        if not self._in_use.isolated or self._in_use.database_url is None:
            raise BridgeFault("mcp-ts:supabase needs a stack that this run starts: use --mcp-supabase=native or docker")
        package = await installed(*McpTsSupabase.packages)
        await self._behind.execute("drop table public.mcp_sessions")
        await self._behind.execute((migrations_of(package) / MIGRATION).read_text())
        await self._behind.execute(GRANTED_BY_DEFAULT)
        await self._reloaded(usable=True)

    async def _reloaded(self, *, usable: bool) -> None:
        """Wait until PostgREST has read the changed table: ask it to change the column in no rows."""
        await self._behind.execute("notify pgrst, 'reload schema'")
        async with self._rest() as client, asyncio.timeout(RELOAD_LIMIT):
            nothing = f"{self._in_use.url}/rest/v1/mcp_sessions?session_id=is.null"
            while (await client.patch(nothing, json={"client_id": None})).is_success is not usable:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def _rest(self) -> AsyncClient:
        """Return a client of the service role that does not use the proxy."""
        from httpx import AsyncClient

        key = self._in_use.server_key or ""
        return AsyncClient(headers={"apikey": key, "Authorization": f"Bearer {key}"})


class McpTsSupabase(McpTsHarness):
    """``SupabaseStorageBackend`` of ``@mcp-ts/sdk``, on the table of its migration."""

    name: ClassVar[str] = "mcp-ts:supabase"
    store: ClassVar[str] = "supabase"
    packages: ClassVar[Sequence[str]] = ("@supabase/supabase-js",)
    node_options: ClassVar[Sequence[str]] = ("--experimental-websocket",)  # supabase-js needs it before Node 22
    checks_each_open: ClassVar[bool] = True
    capabilities = (SupabaseHarness.capabilities | {Capability.LOST_ANSWER}) - {
        Capability.DEFAULT_TTL,
        Capability.FAIL_STEP,
    }
    underlying: UpstreamProject

    def provisioned(self) -> UpstreamProject:
        return UpstreamProject()

    def settings(self) -> Mapping[str, str]:
        return self.underlying.variables

    async def holds(self, identity: str, session_id: str) -> bool:
        return await self.underlying.holds(identity, session_id)

    async def open_as(self, user: str | None) -> BridgeBackend:
        await self.underlying.check_tokens()
        return await self._opened("openAs", None, user=self.underlying.login(user))

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        await self.underlying.write_row_as(user, session, owner)


def migrations_of(package: Path) -> Path:
    """Return the folder of upstream's migrations in an installation."""
    return package / "node_modules" / "@mcp-ts" / "sdk" / "supabase" / "migrations"
