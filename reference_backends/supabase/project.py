"""A Supabase project by its URL and key: a backend that makes its own client and closes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import httpx
from supabase import AsyncClient, AsyncClientOptions, AsyncSupabaseException

from reference_backends.core.errors import ConfigurationError
from reference_backends.supabase.backend import TIME_LIMIT, SupabaseOptions, SupabaseStorageBackend
from reference_backends.supabase.http_environment import CLIENT_FAULTS, environment_error

AT_ONCE = 100
"""Number of concurrent requests, each on a separate connection. The others wait."""


class SupabaseProjectBackend(SupabaseStorageBackend):
    """A :class:`SupabaseStorageBackend` that owns its client: ``disconnect`` closes it, ``init`` makes a new one.

    ``key`` may be a function, which is called for each request, so that a rotated key is used. ``anon``: the key is
    known to be a public one. ``variable`` is the variable that holds the key, for the warning. The constructor raises
    :class:`ConfigurationError` for a URL or a key that is not valid.
    """

    def __init__(
        self,
        url: str,
        key: str | Callable[[], str],
        *,
        anon: bool = False,
        variable: str = "",
        **options: Unpack[SupabaseOptions],
    ) -> None:
        self._url = url
        self._key = key
        self._anon = anon
        self._connected = True
        self._time_limit = options.get("time_limit", TIME_LIMIT)
        if callable(key):
            options["api_key"] = key
        super().__init__(project_client(url, key, self._time_limit), **options)
        self._key_variable = variable or self._key_variable

    async def init(self) -> None:
        if not self._connected:
            self._client = project_client(self._url, self._key, self._time_limit)
            self._table = self._table.on(self._client)
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


def project_client(url: str, key: str | Callable[[], str], time_limit: float) -> AsyncClient:
    """Return a client that follows no redirects: a followed redirect turns an INSERT into a SELECT.

    It uses HTTP/1.1. Gateways close an HTTP/2 connection from time to time; then httpx fails the running calls on it,
    although the server answers them.
    """
    http = _http(time_limit)
    try:
        return AsyncClient(
            url,
            key() if callable(key) else key,
            AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False),
        )
    except (AsyncSupabaseException, ValueError, httpx.InvalidURL):
        pass  # the text of the error repeats the values
    raise ConfigurationError(
        "SUPABASE_URL or the key is not valid: write the URL as https://<project>.supabase.co, "
        "and the key as one line of ASCII"
    )


def _http(time_limit: float) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=5.0)
    try:
        return httpx.AsyncClient(follow_redirects=False, limits=limits, timeout=time_limit)
    except CLIENT_FAULTS as fault:
        problem = environment_error(fault)
    raise problem
