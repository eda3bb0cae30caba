"""Clients of a Supabase project, one for each key and user, over one pool of connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postgrest.types import CountMethod, ReturnMethod

from pytest_mcp_storage.stacks.supabase.stack import on_this_machine
from reference_backends.core.errors import StorageError
from reference_backends.core.record import RecordCodec
from reference_backends.core.validation import LONGEST_TTL
from reference_backends.supabase.errors import FAULTS, typed_error
from reference_backends.supabase.rows import TABLE, expiry, new_row

if TYPE_CHECKING:
    from httpx import AsyncClient as HttpClient
    from httpx import Request
    from supabase import AsyncClient

    from reference_backends import SessionData

UNAUTHORIZED = 401
HTTP_TIMEOUT = 60.0
"""Seconds; longer than any backend waits, so that the backend's limit applies."""


class Clients:
    """Supabase clients for the event loop that uses the first one."""

    def __init__(self) -> None:
        self.detour: tuple[str, int] | None = None
        """Host and port to which every request is sent instead, if set."""
        self._http: HttpClient | None = None
        self._clients: dict[tuple[str, str, str | None], AsyncClient] = {}

    async def of(self, url: str, key: str | None, token: str | None = None) -> AsyncClient:
        """Return a client with a project's key, and with a user's token if one is given."""
        from supabase import AsyncClientOptions, acreate_client

        assert key is not None, "a stack has at least one key"
        http = self._pool(url)
        named = (url, key, token)
        if named not in self._clients:
            options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
            if token is not None:
                options.headers["Authorization"] = f"Bearer {token}"
            self._clients[named] = await acreate_client(url, key, options)
        return self._clients[named]

    async def refusal(self, url: str, key: str | None, token: str) -> str | None:
        """Return the project's reason to refuse a user's token; ``None`` if it accepts the token."""
        headers = {"apikey": key or "", "Authorization": f"Bearer {token}"}
        answer = await self._pool(url).get(f"{url}/rest/v1/{TABLE}", params={"limit": "0"}, headers=headers)
        if answer.status_code != UNAUTHORIZED:
            return None
        try:
            said = answer.json()
            return ", ".join(str(said[name]) for name in ("code", "message") if said.get(name)) or "401"
        except (ValueError, AttributeError):
            return "401"

    def _pool(self, url: str) -> HttpClient:
        from httpx import AsyncClient as HttpClient

        if self._http is None:
            self._http = HttpClient(
                timeout=HTTP_TIMEOUT,
                event_hooks={"request": [self._divert]},
                trust_env=not on_this_machine(url),
            )
        return self._http

    async def close(self) -> None:
        """Close the pool."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None
        self._clients.clear()

    async def _divert(self, request: Request) -> None:
        if self.detour is not None:
            host, port = self.detour
            request.url = request.url.copy_with(host=host, port=port)

    @staticmethod
    async def write_row(client: AsyncClient, session: SessionData, owner: str) -> None:
        """Insert a session's row with ``user_id = owner``; if it exists, set every column.

        Raises :class:`StorageError` if that is refused.
        """
        # The rows are not asked for: a user may have written what they can't read.
        row = new_row(RecordCodec(None).record(session), expiry(time.time() + LONGEST_TTL)) | {"user_id": owner}
        table = client.table(TABLE)
        try:
            found = await table.select("session_id").eq("session_id", session.session_id).execute()
            if not found.data:
                await table.insert(row, returning=ReturnMethod.minimal).execute()
                return
            update = table.update(row, count=CountMethod.exact, returning=ReturnMethod.minimal)
            if (await update.eq("session_id", session.session_id).execute()).count:
                return
            refusal = StorageError("no row was written")
        except FAULTS as fault:
            refusal = typed_error(fault)
        raise refusal
