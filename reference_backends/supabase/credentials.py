"""The key that each request carries: read anew, so that a key that was rotated counts at the next call."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supabase import AsyncClient


class Credentials:
    """The key of a client, or what ``api_key`` returns; a user's login stays the client's own."""

    def __init__(self, client: AsyncClient, api_key: Callable[[], str] | None) -> None:
        self._client = client
        self._api_key = api_key
        self._first = client.supabase_key
        """What the client's requests were made with, and still are after its ``supabase_key`` has changed."""

    def apply(self, headers: MutableMapping[str, str]) -> None:
        """Put the key of now into the headers of a request that the client has built."""
        key = self._api_key() if self._api_key else self._client.supabase_key
        headers["apikey"] = key
        if headers.get("Authorization") in (None, f"Bearer {self._first}", f"Bearer {self._client.supabase_key}"):
            headers["Authorization"] = f"Bearer {key}"
