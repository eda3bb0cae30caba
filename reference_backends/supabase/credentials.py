"""The key that each request carries. It is read for each request, so that a rotated key is used by the next call."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supabase import AsyncClient


class Credentials:
    """The key of a client, or the one that ``api_key`` returns. The login of a user is not changed."""

    def __init__(self, client: AsyncClient, api_key: Callable[[], str] | None) -> None:
        self._client = client
        self._api_key = api_key
        self._first = client.supabase_key
        """The key that the client puts into its requests, also after its ``supabase_key`` has changed."""

    def apply(self, headers: MutableMapping[str, str]) -> None:
        """Put the current key into the headers of a request that the client has built."""
        key = self._api_key() if self._api_key else self._client.supabase_key
        headers["apikey"] = key
        if headers.get("Authorization") in (None, f"Bearer {self._first}", f"Bearer {self._client.supabase_key}"):
            headers["Authorization"] = f"Bearer {key}"
