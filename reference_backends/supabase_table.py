"""Requests to the table ``mcp_sessions``: each bounded in time, sent once, and answered with rows or a typed error."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from postgrest.types import CountMethod, ReturnMethod

from reference_backends.errors import StorageError
from reference_backends.supabase_errors import FAULTS, not_postgrest, typed_error
from reference_backends.supabase_rows import GLIMPSE, NOT_IN_CLEAR, TABLE, Row

if TYPE_CHECKING:
    from postgrest import APIResponse, AsyncSelectRequestBuilder
    from supabase import AsyncClient

PAGE = 1000
"""Rows asked for, or deleted, at a time. A server may give fewer (``max_rows``), which does not end a listing."""

_VALUE = re.compile(r"[-+]?(?:0[box][\da-f]+|[\d.]+(?:e[-+]?\d+)?|infinity|nan)|null|true|false|unknown", re.IGNORECASE)
"""What a server may take for a number or another value, and not for the text that it is."""


class Answer(NamedTuple):
    """Rows, and how many fit the filters altogether where that was asked for."""

    rows: list[Row]
    total: int | None


class Request(Protocol):
    """A request that is built and not yet sent: any builder of supabase-py."""

    def retry(self, enabled: bool) -> Any: ...

    async def execute(self) -> APIResponse: ...


class SupabaseTable:
    """The table, by a client of supabase-py; ``time_limit``: the seconds that a request may take.

    Every method raises the errors of :func:`typed_error`, without cause or context.
    """

    def __init__(self, client: AsyncClient, time_limit: float) -> None:
        self._client = client
        self._time_limit = time_limit
        self._under_way: set[asyncio.Task[Answer | StorageError]] = set()
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
        # A redirection turns a POST into a GET, which answers with other rows.
        if answer.rows != [{"session_id": row["session_id"]}]:
            raise not_postgrest()

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
            page, total = await self.answer(request)
            yield page
            if not page or len(page) == total or len(page) < longest:
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
        """Send a request, once, in a task that outlives a cancelled caller.

        httpcore loses a connection of its pool for good if a request is cancelled just after it has connected.
        """
        sending = asyncio.ensure_future(self._sent(request))
        self._under_way.add(sending)
        sending.add_done_callback(self._under_way.discard)
        outcome = await asyncio.shield(sending)
        if isinstance(outcome, Answer):
            return outcome
        raise outcome

    async def settled(self) -> None:
        """Wait for the requests whose callers were cancelled; each ends within the time limit."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _sent(self, request: Request) -> Answer | StorageError:
        """What came of the request. supabase-py's retries would only hold back the news of an outage."""
        try:
            async with asyncio.timeout(self._time_limit):
                response = await request.retry(False).execute()
        except FAULTS as fault:
            return typed_error(fault)
        if isinstance(response.data, list) and all(isinstance(row, dict) for row in response.data):
            return Answer(response.data, response.count)
        return not_postgrest()


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
