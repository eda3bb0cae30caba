"""Requests to the table of sessions. Each is sent once, has a time limit, and returns rows or raises a typed error."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from httpx import Headers, Response
from postgrest import APIResponse
from postgrest.types import CountMethod, ReturnMethod

from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError
from reference_backends.supabase.credentials import Credentials
from reference_backends.supabase.errors import FAULTS, typed_error
from reference_backends.supabase.http_environment import proxy_of
from reference_backends.supabase.refusals import Caller, not_postgrest, refusal_of, refused
from reference_backends.supabase.role import role_of
from reference_backends.supabase.rows import TABLE, Row

if TYPE_CHECKING:
    from postgrest import AsyncRequestBuilder, AsyncSelectRequestBuilder
    from supabase import AsyncClient

CREATED, NO_CONTENT = 201, 204
PAGE = 1000
"""Number of rows that one request reads or deletes. A server may return fewer (``max_rows``); a listing goes on."""

_NO_ID = "00000000-0000-0000-0000-000000000000"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_VALUE = re.compile(r"[-+]?(?:0[box][\da-f]+|[\d.]+(?:e[-+]?\d+)?|infinity|nan)|null|true|false|unknown", re.IGNORECASE)
"""Text that a server may read as a number or another value."""


class Reply(NamedTuple):
    """A successful response: its HTTP status, its rows, and the number of matching rows if the request asked for it."""

    status: int
    rows: list[Row]
    total: int | None
    extent: str
    """The header ``Content-Range``: ``0-0/*`` for one row, ``*/*`` for none."""


class Request(Protocol):
    """A request that is built but not sent: any builder of supabase-py."""

    request: Any


class SupabaseTable:
    """The table ``name``, through a client of supabase-py. ``time_limit`` is in seconds for each request.

    Every method raises the errors of :func:`typed_error`, without cause or context. The constructor raises
    :class:`ConfigurationError` for a name that is not valid.
    """

    def __init__(
        self,
        client: AsyncClient,
        time_limit: float,
        *,
        name: str = TABLE,
        api_key: Callable[[], str] | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError("table must be a name of small letters, digits and _, such as mcp_sessions")
        self.name = name
        self.in_use = False
        """Whether the server accepted the credentials before. If it refuses them now, they have changed."""
        self._client = client
        self._api_key = api_key
        self._credentials = Credentials(client, api_key)
        self._time_limit = time_limit
        self._in_flight: set[asyncio.Task[Response | StorageError]] = set()
        self._rows()

    def on(self, client: AsyncClient) -> SupabaseTable:
        """Return the same table with another client."""
        return SupabaseTable(client, self._time_limit, name=self.name, api_key=self._api_key)

    def _rows(self) -> AsyncRequestBuilder:
        with warnings.catch_warnings():
            # When supabase-py builds its REST client, it warns about a deprecated argument that it uses itself: for
            # the first request, and for the first one after each login.
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._client.table(self.name)

    def reading(self, *columns: str, count: CountMethod | None = None) -> AsyncSelectRequestBuilder:
        """Return a SELECT without filters."""
        return self._rows().select(*columns, count=count)

    def reading_none(self, *columns: str) -> AsyncSelectRequestBuilder:
        """Return a SELECT of no row. It fails if a column is missing. It always has an index."""
        return self.reading(*columns).eq("id", _NO_ID).limit(0)

    def changing(self, row: Row, *columns: str) -> AsyncSelectRequestBuilder:
        """Return an UPDATE without filters, which returns these columns of the rows that it changed."""
        return self._rows().update(row).select("session_id", *columns)

    def deleting(self) -> AsyncSelectRequestBuilder:
        """Return a DELETE. Add a filter: hosted projects refuse one without."""
        return self._rows().delete(returning=ReturnMethod.minimal)

    async def insert(self, row: Row) -> None:
        """Insert the row. Raise ``SessionExistsError`` if its id is in use by any identity."""
        answer = await self.answer(self._rows().insert(row).select("session_id"))
        # A redirect turns a POST into a GET, which creates nothing. The rows do not show it: they are empty, too, if a
        # gateway removes the header Prefer.
        if answer.status != CREATED:
            raise not_postgrest()

    async def change(self, request: AsyncSelectRequestBuilder) -> Row | None:
        """Send an UPDATE of one row. Return the row, empty if the answer lacks it; ``None`` if there is no such row."""
        answer = await self.answer(request)
        if answer.rows or answer.status != NO_CONTENT:
            return answer.rows[0] if answer.rows else None
        # A gateway has removed the header Prefer, which requests the rows.
        if not answer.extent:
            raise StorageSetupError(
                "a gateway in front of Supabase removes the headers Prefer and Content-Range, so it is not known "
                "whether the update was done; configure it to keep both"
            )
        return None if answer.extent.startswith("*") else {}

    async def delete(self, request: AsyncSelectRequestBuilder) -> None:
        """Send a DELETE."""
        if (await self.answer(request)).rows:
            raise not_postgrest()

    async def rows(self, request: Request) -> list[Row]:
        """Send a request. Return its rows."""
        return (await self.answer(request)).rows

    async def pages(self, *columns: str, live_at: str, identity: str | None = None) -> AsyncIterator[list[Row]]:
        """Yield pages of the rows that are live at a time. ``columns`` includes the key that orders the pages.

        The key is ``session_id`` for one identity and ``id`` for the whole table. A signed-in user may write a session
        id that is too long for a URL; with these keys that stops only the user's own listing. Because pages begin
        after a key, rows that are removed meanwhile do not shift them. The row limit of the server is not known. So a
        short page ends the listing only if the count or a longer page before it shows that the server did not cut it.
        """
        key = "id" if identity is None else "session_id"
        longest = 0
        after: str | None = None
        while True:
            count = CountMethod.exact if after is None and identity is not None else None
            request = self.reading(*columns, count=count).gt("expires_at", live_at).order(key).limit(PAGE)
            if identity is not None:
                request = equal(request, "identity", identity)
            if after is not None:
                request = greater(request, key, after)
            answer = await self.answer(request)
            page = answer.rows
            yield page
            if not page or len(page) == answer.total or len(page) < longest:
                return
            longest = max(longest, len(page))
            after = page[-1][key]

    async def delete_in_pages(self, expired_at: str | None = None) -> None:
        """Delete all rows, or those that are expired at a time, in pages, so that no statement takes long."""
        last = False
        while not last:
            boundary = self.reading("id").order("id").limit(1).offset(PAGE - 1)
            request = self.deleting().not_.is_("id", None)
            if expired_at is not None:
                boundary = boundary.lte("expires_at", expired_at)
                request = request.lte("expires_at", expired_at)
            found = await self.rows(boundary)
            if found:
                request = request.lte("id", found[0]["id"])
            await self.delete(request)
            last = not found

    async def answer(self, request: Request) -> Reply:
        """Send a request. Return the successful response, or raise an error."""
        response = await self.send(request)
        if not response.is_success:
            raise refused(refusal_of(response), self.caller())
        success = APIResponse.from_http_request_response(response)
        rows: Any = success.data
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise not_postgrest()
        return Reply(response.status_code, rows, success.count, response.headers.get("Content-Range", ""))

    async def send(self, request: Request) -> Response:
        """Send a request once, in a task that continues if the caller is cancelled.

        httpcore loses a connection of its pool if a request is cancelled just after it has connected.
        """
        self._credentials.apply(request.request.headers)
        sending = asyncio.ensure_future(self._sent(request))
        self._in_flight.add(sending)
        sending.add_done_callback(self._in_flight.discard)
        outcome = await asyncio.shield(sending)
        if isinstance(outcome, StorageError):
            raise outcome
        return outcome

    async def settled(self) -> None:
        """Wait for the requests of cancelled callers. Each ends within the time limit."""
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    async def _sent(self, request: Request) -> Response | StorageError:
        """Return the response or the error. The retries of supabase-py are not used: they would delay the error."""
        try:
            async with asyncio.timeout(self._time_limit):
                response: Response = await request.request.send(Headers())
        except FAULTS as fault:
            return typed_error(fault, self.caller())
        return response

    def caller(self) -> Caller:
        """Return the sender of the current requests."""
        http = self._client.options.httpx_client
        reads_environment = http is None or http.trust_env
        proxy = proxy_of(str(self._client.supabase_url)) if reads_environment else None
        return Caller(self.role(), self.name, self.in_use, proxy)

    def role(self) -> str | None:
        """Return the database role of the current requests; ``None`` if it is not known."""
        headers: Headers = self._rows().select("id").request.headers
        self._credentials.apply(headers)
        return role_of(headers["Authorization"])


def equal(request: AsyncSelectRequestBuilder, column: str, text: str) -> AsyncSelectRequestBuilder:
    """Return the request with a filter for rows whose column is exactly this text.

    PostgREST takes the text after ``eq.`` unchanged. Other servers strip its white space and read ``01`` as 1, but not
    in a quoted item. Quoted items cost a sort, so they are used only for text that could be misread.
    """
    if _is_bare(text):
        return request.eq(column, text)
    return request.filter(column, "in", f"({_quoted(text)})")


def greater(request: AsyncSelectRequestBuilder, column: str, text: str) -> AsyncSelectRequestBuilder:
    """Return the request with a filter for rows whose column is greater than this text. It selects ``column``."""
    if _is_bare(text):
        return request.gt(column, text)
    return request.or_(f"{column}.gt.{_quoted(text)}")


def _is_bare(text: str) -> bool:
    """Return whether every server reads the text unchanged."""
    return text == text.strip().strip("\ufeff") and not _VALUE.fullmatch(text)


def _quoted(text: str) -> str:
    """Return the text as a quoted item of a PostgREST filter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
