"""Remove sessions that a store kept under other names than they were written under.

This is needed only on a store that may hold others' data, because that one can't be cleared. There each name that the
suite writes contains a mark of the process, so every id with the mark belongs to the suite.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator

from pytest_mcp_storage.engine.timeouts import in_time
from reference_backends import SessionData, StorageBackend

LIMIT = 60.0
"""Seconds after which the store's listing of all ids has timed out."""
Call = Callable[..., Awaitable[None]]
Name = tuple[str, str]
"""Identity and session id."""

SHORTER = (64, 100, 128, 191, 200, 254)
"""Lengths to which columns cut a text."""


async def remove_renamed(
    backend: StorageBackend, call: Call, written: Iterable[Name], read: Iterable[Name], mark: str
) -> list[str]:
    """Remove what the store kept under other names. Return the ids that are still there.

    ``call``: calls the store and ignores its result. ``read``: names that the store's results contained.
    """
    written = list(written)
    if not any(mark in id for _, id in written) or not (left := await _left_behind(backend, mark)):
        return []
    for name in candidates(written, left, read):
        await call(backend.remove_session, *name)
    return await _left_behind(backend, mark)


async def _left_behind(backend: StorageBackend, mark: str) -> list[str]:
    try:
        ids = await in_time("get_all_session_ids()", backend.get_all_session_ids, limit=LIMIT)
        return [id for id in ids if mark in id.casefold()]
    except Exception:  # other clauses judge what the listing returns
        return []


def names_in(results: Iterable[object]) -> list[Name]:
    """Return the names of the sessions among the results of calls."""
    items = [item for result in results for item in (result if isinstance(result, list) else [result])]
    return [(each.identity, each.session_id) for each in items if isinstance(each, SessionData)]


def candidates(written: Iterable[Name], left: Iterable[str], read: Iterable[Name]) -> Iterator[Name]:
    """Yield the names under which the ids may be stored: as read, then with identities as stores change them."""
    by_id: dict[str, list[str]] = {}
    for identity, id in written:
        by_id.setdefault(id.casefold(), []).append(identity)
    shown = list(dict.fromkeys(read))
    for id in left:
        yield from (name for name in shown if name[1] == id)
        for identity in by_id.get(id.casefold(), ()):
            for changed in variants(identity):
                yield changed, id


def variants(identity: str) -> Iterator[str]:
    """Yield the identity as stores are known to change it."""
    forms = [identity, identity.lower(), identity.upper(), identity.casefold(), identity.strip()]
    forms += [unicodedata.normalize(form, identity) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    forms += [identity[:length] for length in SHORTER if len(identity) > length]
    yield from dict.fromkeys(forms)
