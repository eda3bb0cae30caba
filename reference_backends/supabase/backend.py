"""Sessions in a table of a Supabase project, ``mcp_sessions`` by default, over PostgREST.

Each write is one request. The database does it completely or not at all, and it is never sent twice: if its answer is
lost, either the old session or the new one is stored. Each request filters expired rows by the handle's clock.

With a key, an update returns the secrets that it did not name. If one is in clear, two more requests seal it (MX-5): a
SELECT, and an UPDATE that requires the row version that was read (``xmin``), as ``reseal_session`` does.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from reference_backends.core.base import BackendOptions, BaseBackend, exists_already, logger, not_live
from reference_backends.core.errors import ConfigurationError, SessionExistsError, StorageError
from reference_backends.core.record import CREDENTIALS, SECRETS, Record
from reference_backends.core.session import SessionData, SessionUpdate
from reference_backends.core.validation import check_changes, check_identity, check_names, check_session
from reference_backends.supabase.rows import (
    SESSION_COLUMNS,
    TABLE,
    VERSION,
    Row,
    changed_columns,
    expiry,
    moment,
    new_row,
    record_of,
)
from reference_backends.supabase.table import SupabaseTable, equal
from reference_backends.supabase.upstream import verify

if TYPE_CHECKING:
    from postgrest import AsyncSelectRequestBuilder
    from supabase import AsyncClient

TIME_LIMIT = 8.0
SEALING_ATTEMPTS = 5

# The HTTP/2 codec logs each header at DEBUG, the key included. Set the level again to see them.
logging.getLogger("hpack").setLevel(logging.INFO)


class SupabaseOptions(BackendOptions, total=False):
    """The keyword arguments of :class:`SupabaseStorageBackend`."""

    seal_all: bool
    time_limit: float
    table: str
    api_key: Callable[[], str] | None


class _ChangedMeanwhile(StorageError):
    """Another caller changed the session between each read and write."""


class SupabaseStorageBackend(BaseBackend):
    """A :class:`StorageBackend` in the table that ``mcp-storage supabase-init`` sets up.

    ``client`` is supabase-py's async client (``await acreate_client(url, key)``), with the service role key or signed
    in as a user. Use it in the event loop that it was made in. The caller closes it; ``disconnect`` does not. A session
    id is unique in the table: two identities cannot use the same one (ID-4).

    ``seal_all``: also seal ``code_verifier`` and the ``client_secret`` in client information (EN-11). ``@mcp-ts/sdk``
    1.6 cannot open those two if it reads the same table. ``time_limit``: seconds after which a request without an
    answer raises ``StorageUnavailableError``, even if the client would wait longer. ``table``: another name, for
    ``mcp-storage supabase-init --table NAME``. The key is read from the client's ``supabase_key`` for each request, so
    a rotated key can be set there; if ``api_key`` is given, it is called instead.

    A cancelled call ends at once. Its request continues, and ``disconnect`` waits for it.
    """

    label = "supabase"

    def __init__(
        self,
        client: AsyncClient,
        *,
        seal_all: bool = False,
        time_limit: float = TIME_LIMIT,
        table: str = TABLE,
        api_key: Callable[[], str] | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        super().__init__(seal_all=seal_all, **options)
        self._client = _asynchronous(client)
        self._table = SupabaseTable(client, time_limit, name=table, api_key=api_key)
        self._sealed_columns = (SECRETS if seal_all else CREDENTIALS) if self._codec.seals else ()
        self._role_checked = False
        self._key_variable = "a public key (SUPABASE_PUBLISHABLE_KEY, SUPABASE_ANON_KEY)"

    async def init(self) -> None:
        """Check that the table and its columns exist, with a SELECT that returns no row.

        Raise ``StorageSetupError``, ``ConfigurationError`` for a key that is refused, ``StorageUnavailableError``.
        """
        if not self._role_checked and self._acts_as_anon():
            logger.warning(
                "[mcp-storage] supabase: %s is used for server-side storage, and row-level security "
                "hides every row from it; use SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY, or sign in",
                self._key_variable,
            )
        self._role_checked = True
        self._table.in_use = False
        await verify(self._table)
        self._table.in_use = True
        logger.info("[mcp-storage] supabase: table %s verified", self._table.name)
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        record = self._codec.record(check_session(session))
        row = new_row(record, expiry(self._expiry(ttl)))
        self._require_open()
        try:
            return await self._table.insert(row)
        except SessionExistsError:
            pass  # the id belongs to a live session, or to an expired one that is not removed yet
        expired = self._table.deleting().lte("expires_at", self._now())
        await self._table.delete(equal(expired, "session_id", session.session_id))
        # Insert again even if nothing was deleted: a cleanup may have removed the row first.
        try:
            return await self._table.insert(row)
        except SessionExistsError:
            pass
        raise exists_already(session.session_id)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        identity, session_id = check_names(identity, session_id)
        named = self._codec.seal_clear(check_changes(changes))
        row = changed_columns(named) | {"expires_at": expiry(self._expiry(ttl))}
        self._require_open()
        kept = [column for column in self._sealed_columns if column not in row]
        request = self._table.changing(row, *kept)
        stored = await self._table.change(self._live(request, identity, session_id))
        if stored is None:
            raise not_live(session_id)
        if kept and (not stored or self._codec.seal_clear(stored) is not stored):
            # A secret is stored in clear (MX-5). If others change the session all the time, their updates seal it.
            with contextlib.suppress(_ChangedMeanwhile):
                await self._rewrite(identity, session_id, self._codec.seal_clear)

    async def get_session(self, identity: str, session_id: str) -> SessionData | None:
        identity, session_id = check_names(identity, session_id)
        self._require_open()
        found = await self._table.rows(self._live(self._table.reading(*SESSION_COLUMNS), identity, session_id))
        return self._session(found[0]) if found else None

    async def get_identity_sessions_data(self, identity: str) -> list[SessionData]:
        return [self._session(row) for row in await self._listed(*SESSION_COLUMNS, identity=check_identity(identity))]

    async def get_identity_mcp_sessions(self, identity: str) -> list[str]:
        return [row["session_id"] for row in await self._listed("session_id", identity=check_identity(identity))]

    async def remove_session(self, identity: str, session_id: str) -> None:
        identity, session_id = check_names(identity, session_id)
        self._require_open()
        await self._table.delete(equal(equal(self._table.deleting(), "identity", identity), "session_id", session_id))

    async def get_all_session_ids(self) -> list[str]:
        return [row["session_id"] for row in await self._listed("session_id", "id")]

    async def clear_all(self) -> None:
        self._require_open()
        await self._table.delete_in_pages()

    async def cleanup_expired_sessions(self) -> None:
        self._require_open()
        await self._table.delete_in_pages(expired_at=self._now())

    async def session_names(self) -> list[tuple[str, str]]:
        """Return identity and session id of every live session."""
        return [(row["identity"], row["session_id"]) for row in await self._listed("identity", "session_id", "id")]

    async def reseal_session(self, identity: str, session_id: str, *, dry_run: bool = False) -> bool | None:
        """Seal a session's secrets under the first key and keep its expiry, in one step; see ``Resealable``."""
        identity, session_id = check_names(identity, session_id)
        self._require_open()
        return await self._rewrite(identity, session_id, self._codec.resealed, dry_run=dry_run)

    async def compact(self) -> str:
        """Do nothing: PostgREST cannot run VACUUM."""
        return (
            f"PostgreSQL keeps old rows until they are vacuumed; run VACUUM FULL {self._table.name} in the SQL editor"
        )

    async def disconnect(self) -> None:
        """Close this handle. The client stays open."""
        self._closed()
        await self._table.settled()

    def _acts_as_anon(self) -> bool:
        return self._table.role() == "anon"

    def _now(self) -> str:
        return moment(self._clock())

    def _live(self, request: AsyncSelectRequestBuilder, identity: str, session_id: str) -> AsyncSelectRequestBuilder:
        """Return the request with a filter for this session while it is live."""
        named = equal(equal(request, "identity", identity), "session_id", session_id)
        return named.gt("expires_at", self._now())

    async def _listed(self, *columns: str, identity: str | None = None) -> list[Row]:
        self._require_open()
        pages = self._table.pages(*columns, live_at=self._now(), identity=identity)
        return [row async for page in pages for row in page]

    def _session(self, row: Row) -> SessionData:
        try:
            record = record_of(row)
        except (ValueError, TypeError, AttributeError, KeyError):
            record = None
        if record is None:
            raise StorageError(
                f"the stored session {row.get('session_id')!r} is damaged: its created_at is not a timestamp; remove it"
            )
        return self._codec.session(record)

    async def _rewrite(
        self, identity: str, session_id: str, seal: Callable[[Record], Record], *, dry_run: bool = False
    ) -> bool | None:
        """Write a live session's secrets as ``seal`` returns them, if the row is still the one that was read.

        Return whether there was something to write, ``None`` if there is no such session. Raise
        :class:`_ChangedMeanwhile` if the row changed at each attempt. With ``dry_run`` write nothing.
        """
        table = self._table
        for _ in range(SEALING_ATTEMPTS):
            found = await table.rows(self._live(table.reading(*SECRETS, VERSION), identity, session_id))
            if not found:
                return None
            version = found[0].pop(VERSION)
            old = found[0] | {"session_id": session_id}
            new = seal(old)
            if new is old:
                return False
            changed = {column: new[column] for column in SECRETS if new[column] is not old[column]}
            request = table.changing(changed).eq(VERSION, version)
            if dry_run or await table.change(self._live(request, identity, session_id)) is not None:
                return True
        raise _ChangedMeanwhile(f"session {session_id!r} changed at each of {SEALING_ATTEMPTS} attempts; retry")


def create_supabase_storage_backend(client: AsyncClient, **options: Unpack[SupabaseOptions]) -> SupabaseStorageBackend:
    """Return a backend on a client that the application already has. ``await init()`` before its first use.

    The options are those of :class:`SupabaseStorageBackend`.
    """
    return SupabaseStorageBackend(client, **options)


def _asynchronous(client: object) -> AsyncClient:
    from supabase import AsyncClient

    if isinstance(client, AsyncClient):
        return client
    raise ConfigurationError(
        "the Supabase backend needs supabase-py's async client; make one with: await supabase.acreate_client(url, key)"
    )
