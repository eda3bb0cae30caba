"""Every session of a store sealed under the first key: after a key was set, changed, or given up.

Each session is read and written in one step, or written only if its secrets are still those that were read. Its
expiry is not touched, so a session that ends, is removed or changes meanwhile stays as its callers left it. What is
under the first key already is not written, so the whole can be interrupted and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from reference_backends.core.errors import ConfigurationError, StorageError, StorageSetupError, StorageUnavailableError

AT_ONCE = 100
"""Sessions that are worked on at once. The file and the SQLite store write them in one commit."""

Name = tuple[str, str]
"""Identity and session id."""

Progress = Callable[[int, int], None]
"""Called with how many sessions are done, and how many there are."""


@runtime_checkable
class Resealable(Protocol):
    """What a store offers for this, next to :class:`StorageBackend`."""

    @property
    def encrypts(self) -> bool:
        """Whether an encryption key is set."""

    async def session_names(self) -> list[Name]:
        """Return identity and session id of every live session."""
        ...

    async def reseal_session(self, identity: str, session_id: str, *, dry_run: bool = False) -> bool | None:
        """Seal a session's secrets under the first key, and change nothing else, not even its expiry.

        Return whether there was something to seal, ``None`` if there is no such live session any more. Raise
        :class:`DecryptionError` for a secret that no key opens. With ``dry_run`` write nothing.
        """

    async def compact(self) -> str:
        """Remove what was replaced from the store's files. Return what only the server's administrator can do."""
        ...


@dataclass
class Resealing:
    """What became of the sessions. ``refused`` says of each that could not be sealed anew why."""

    sealed: int = 0
    current: int = 0
    """Under the first key already."""
    gone: int = 0
    """Removed or expired meanwhile."""
    refused: dict[Name, str] = field(default_factory=dict)
    to_do: str = ""
    """What only the server's administrator can do to take old values off its disk; empty if nothing is left."""
    not_compacted: str = ""
    """Why old values may still be in the store's files; empty if they are not."""

    @property
    def complete(self) -> bool:
        """Whether every session is under the first key, and the store has removed the old values."""
        return not self.refused and not self.not_compacted


async def reseal(store: object, *, dry_run: bool = False, progress: Progress | None = None) -> Resealing:
    """Seal every session of ``store``, which is open, under its first key; then compact the store.

    With ``dry_run`` count, and write nothing. Raise :class:`ConfigurationError` for a store that has no key or that
    can't do it, as the one in memory, and :class:`StorageError` if the store can't be used.
    """
    if not isinstance(store, Resealable):
        raise ConfigurationError("this store cannot be sealed anew; one in memory ends with its process")
    if not store.encrypts:
        raise ConfigurationError("no encryption key is set, so there is nothing to seal with; set one")
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
        except StorageError as error:  # the sessions are sealed
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
