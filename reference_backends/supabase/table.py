"""Requests to the table ``mcp_sessions``: each bounded in time, sent once, and answered with rows or a typed error."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from httpx import Headers, Response
from postgrest import APIResponse
from postgrest.types import CountMethod, ReturnMethod

from reference_backends.core.errors import StorageSetupError
from reference_backends.supabase.answers import not_postgrest, refusal_of, refused
from reference_backends.supabase.errors import FAULTS, Caller, typed_error
from reference_backends.supabase.http_environment import proxy_of
from reference_backends.supabase.role import role_of
from reference_backends.supabase.rows import GLIMPSE, NOT_IN_CLEAR, TABLE, Row

if TYPE_CHECKING:
    from postgrest import AsyncSelectRequestBuilder
    from supabase import AsyncClient

CREATED, NO_CONTENT = 201, 204
PAGE = 1000
"""Rows asked for, or deleted, at a time. A server may give fewer (``max_rows``), which does not end a listing."""

_VALUE = re.compile(r"[-+]?(?:0[box][\da-f]+|[\d.]+(?:e[-+]?\d+)?|infinity|nan)|null|true|false|unknown", re.IGNORECASE)
"""What a server may take for a number or another value, and not for the text that it is."""


class Answer(NamedTuple):
    """A success: its HTTP status, its rows, and how many rows match the filters if that was asked for."""

    status: int
    rows: list[Row]
    total: int | None
    extent: str
    """The header Content-Range: ``0-0/*`` for one row, ``*/*`` for none."""


class Request(Protocol):
    """A request that is built and not yet sent: any builder of supabase-py."""

    request: Any


class SupabaseTable:
    """The table, by a client of supabase-py; ``time_limit``: the seconds that a request may take.

    Every method raises the errors of :func:`typed_error`, without cause or context.
    """

    def __init__(self, client: AsyncClient, time_limit: float) -> None:
        self._client = client
        self._time_limit = time_limit
        with warnings.catch_warnings():
            # supabase-py warns of its own call of a deprecated argument when it builds its REST client.
            warnings.simplefilter("ignore", DeprecationWarning)
            _ = client.postgrest

    def reading(self, *columns: str, count: CountMethod | None = None) -> AsyncSelectRequestBuilder:
        """A SELECT to be filtered."""
        return self._client.table(TABLE).select(*columns, count=count)

    def changing(self, row: Row, *, nothing_in_clear: Sequence[str] = ()) -> AsyncSelectRequestBuilder:
        """An UPDATE to be filtered: it answers with the rows that it changed, and passes over those where a secret
        lies in clear in one of the columns ``nothing_in_clear``.
        """
        glimpses = (GLIMPSE[column] for column in nothing_in_clear)
        request = self._client.table(TABLE).update(row).select("session_id", *glimpses)
        if nothing_in_clear:
            # One tree: not every server heeds a second one.
            request = request.or_(f"and({','.join(f'or({NOT_IN_CLEAR[column]})' for column in nothing_in_clear)})")
        return request

    def deleting(self) -> AsyncSelectRequestBuilder:
        """A DELETE to be filtered: hosted projects refuse one without a filter."""
        return self._client.table(TABLE).delete(returning=ReturnMethod.minimal)

    async def insert(self, row: Row) -> None:
        """Insert the row. Raises ``SessionExistsError`` where its id is taken, by whomever."""
        answer = await self.answer(self._client.table(TABLE).insert(row).select("session_id"))
        # A redirection turns a POST into a GET, which creates nothing. The rows say nothing: a gateway that removes
        # the header Prefer makes them empty.
        if answer.status != CREATED:
            raise not_postgrest()

    async def change(self, request: AsyncSelectRequestBuilder) -> bool:
        """Send an UPDATE, and report whether it changed a row."""
        answer = await self.answer(request)
        if answer.rows or answer.status != NO_CONTENT:
            return bool(answer.rows)
        # A gateway has removed the header Prefer, which asks for the rows.
        if not answer.extent:
            raise StorageSetupError(
                "a gateway in front of Supabase removes the headers Prefer and Content-Range, so it is not known "
                "whether the update was done; let both pass"
            )
        return not answer.extent.startswith("*")

    async def delete(self, request: AsyncSelectRequestBuilder) -> None:
        """Send a DELETE."""
        if (await self.answer(request)).rows:
            raise not_postgrest()

    async def rows(self, request: Request) -> list[Row]:
        """Send a request; the rows that it answers with."""
        return (await self.answer(request)).rows

    async def pages(self, *columns: str, live_at: str, identity: str | None = None) -> AsyncIterator[list[Row]]:
        """The rows that live at a moment, in pages; ``columns`` has the key among them that the pages are ordered by.

        That is ``session_id`` within an identity, and ``id`` in the whole table: a signed-in user may write a session
        id that no URL has room for, and stop nobody's listing but their own. Paged by key: rows that others remove
        meanwhile shift nothing. The server's own limit of rows is not known, so
        a short page ends a listing only where the count, or a longer page before it, shows that it was not cut.
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
        """Delete every row, or those that have expired at a moment, so many at a time that no statement is long."""
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

    async def answer(self, request: Request) -> Answer:
        """Send a request, once: the retries of supabase-py would only delay the report of an outage."""
        try:
            async with asyncio.timeout(self._time_limit):
                response: Response = await request.request.send(Headers())
        except FAULTS as fault:
            problem = typed_error(fault, self._caller())
        else:
            if not response.is_success:
                problem = refused(refusal_of(response), self._caller().role)
            else:
                success = APIResponse.from_http_request_response(response)
                rows: Any = success.data
                if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
                    extent = response.headers.get("Content-Range", "")
                    return Answer(response.status_code, rows, success.count, extent)
                problem = not_postgrest()
        raise problem

    def _caller(self) -> Caller:
        http = self._client.options.httpx_client
        reads_environment = http is None or http.trust_env
        return Caller(role_of(self._client), proxy_of(str(self._client.supabase_url)) if reads_environment else None)


def equal(request: AsyncSelectRequestBuilder, column: str, text: str) -> AsyncSelectRequestBuilder:
    """The request, narrowed to rows where the column is this text to the letter.

    PostgREST takes what follows ``eq.`` as it stands. Other servers strip white space off it and read ``01`` as 1,
    but not in a quoted item; those cost a sort, so they are kept for names that could be misread.
    """
    if _is_bare(text):
        return request.eq(column, text)
    return request.filter(column, "in", f"({_quoted(text)})")


def greater(request: AsyncSelectRequestBuilder, column: str, text: str) -> AsyncSelectRequestBuilder:
    """The request, narrowed to rows where the column comes after this text. ``column`` is one that it selects."""
    if _is_bare(text):
        return request.gt(column, text)
    return request.or_(f"{column}.gt.{_quoted(text)}")


def _is_bare(text: str) -> bool:
    """Whether nobody takes the text for anything but itself."""
    return text == text.strip().strip("\ufeff") and not _VALUE.fullmatch(text)


def _quoted(text: str) -> str:
    """A quoted item of a PostgREST filter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
