"""Seal every session of a store under the first key, after a key was set, changed or removed.

Each session is read and written in one atomic step, or written only if its secrets are still those that were read.
Its expiry does not change. So a session that expires, is removed or is changed meanwhile keeps that state. A session
that is under the first key already is not written, so the work can be interrupted and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

AT_ONCE = 100
"""Sessions that are resealed at the same time. The file and the SQLite store write them in one commit."""

Name = tuple[str, str]
"""Identity and session id."""

Progress = Callable[[int, int], None]
"""Called with the number of sessions that are done, and the number of all sessions."""


@runtime_checkable
class Resealable(Protocol):
    """The methods that a store needs for this, in addition to :class:`StorageBackend`."""

    @property
    def encrypts(self) -> bool:
        """Whether an encryption key is set."""

    async def session_names(self) -> list[Name]:
        """Return identity and session id of every live session."""
        ...

    async def reseal_session(self, identity: str, session_id: str, *, dry_run: bool = False) -> bool | None:
        """Seal a session's secrets under the first key and change nothing else. The expiry stays the same, too.

        Return whether there was something to seal, or ``None`` if there is no such live session any more. Raise
        :class:`DecryptionError` if no key opens a secret. With ``dry_run`` write nothing.
        """

    async def compact(self) -> str:
        """Remove old values from the store's files. Return what only the server's administrator can do."""
        ...


@dataclass
class Resealing:
    """The result: how many sessions were sealed. ``refused`` has the reason for each that could not be."""

    sealed: int = 0
    current: int = 0
    """Sessions that were under the first key already."""
    gone: int = 0
    """Sessions that were removed or expired meanwhile."""
    refused: dict[Name, str] = field(default_factory=dict)
    to_do: str = ""
    """What only the server's administrator can do to remove old values from its disk; empty for nothing."""
    not_compacted: str = ""
    """Why old values may still be in the store's files; empty if they are not."""

    @property
    def complete(self) -> bool:
        """Whether every session is under the first key and the store has removed the old values."""
        return not self.refused and not self.not_compacted


async def reseal(store: object, *, dry_run: bool = False, progress: Progress | None = None) -> Resealing:
    """Seal every session of the open ``store`` under its first key, then compact the store.

    With ``dry_run`` only count. Raise :class:`ConfigurationError` if the store has no key or does not support
    resealing, like the store in memory, and :class:`StorageError` if the store cannot be used.
    """
    if not isinstance(store, Resealable):
        raise ConfigurationError("this store does not support resealing; a store in memory ends with its process")
    if not store.encrypts:
        raise ConfigurationError("no encryption key is set; set one, then retry")
    result = Resealing()
    names = await store.session_names()
    for start in range(0, len(names), AT_ONCE):
        if progress is not None:
            progress(start, len(names))
        await _reseal(store, names[start : start + AT_ONCE], result, dry_run=dry_run)
    if progress is not None:
        progress(len(names), len(names))
    if not dry_run:
        try:
            result.to_do = await store.compact()
        except StorageError as error:  # the sessions are sealed already
            result.not_compacted = str(error)
    return result


async def _reseal(store: Resealable, names: Sequence[Name], result: Resealing, *, dry_run: bool) -> None:
    answers = await asyncio.gather(
        *(store.reseal_session(*name, dry_run=dry_run) for name in names), return_exceptions=True
    )
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, StorageError) and not isinstance(answer, (StorageUnavailableError, StorageSetupError)):
            result.refused[name] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is None:
            result.gone += 1
        else:
            result.sealed += answer
            result.current += not answer
