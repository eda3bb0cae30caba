"""A Supabase project told by its URL and key: a backend that makes its client, and closes it."""

from __future__ import annotations

import logging
from typing import Unpack

import httpx
from supabase import AsyncClient, AsyncClientOptions, AsyncSupabaseException

from reference_backends.errors import ConfigurationError
from reference_backends.supabase import TIME_LIMIT, SupabaseOptions, SupabaseStorageBackend
from reference_backends.supabase_table import SessionTable

# HTTP/2's codec logs each header at DEBUG, the key among them; whoever wants to see that sets the level again.
logging.getLogger("hpack").setLevel(logging.INFO)


class SupabaseProjectBackend(SupabaseStorageBackend):
    """A :class:`SupabaseStorageBackend` whose client is its own: ``disconnect`` closes it, ``init`` makes a new one.

    ``anon``: the key is known to be the anon key. Raises :class:`ConfigurationError` for a URL or a key that cannot
    be one.
    """

    def __init__(self, url: str, key: str, *, anon: bool = False, **options: Unpack[SupabaseOptions]) -> None:
        self._url = url
        self._key = key
        self._anon = anon
        self._connected = True
        super().__init__(_client(url, key), **options)
        self._time_limit = options.get("time_limit", TIME_LIMIT)

    async def init(self) -> None:
        if not self._connected:
            self._client = _client(self._url, self._key)
            self._table = SessionTable(self._client, self._time_limit)
            self._connected = True
        await super().init()

    async def disconnect(self) -> None:
        await super().disconnect()
        self._connected = False
        http = self._client.options.httpx_client
        if http is not None:
            await http.aclose()

    def _acts_as_anon(self) -> bool:
        return self._anon or super()._acts_as_anon()


def _client(url: str, key: str) -> AsyncClient:
    """A client that follows no redirection: one that is followed turns an INSERT into a SELECT."""
    try:
        http = httpx.AsyncClient(http2=True, follow_redirects=False)
        return AsyncClient(
            url, key, AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
        )
    except (AsyncSupabaseException, ValueError, httpx.InvalidURL):
        pass  # their text shows what was given
    raise ConfigurationError(
        "SUPABASE_URL or the key cannot be right: the URL looks like https://<project>.supabase.co, "
        "and the key is one line of ASCII"
    )
