"""``key-value:MODULE:FACTORY``: a py-key-value store, judged through an adapter."""

from __future__ import annotations

import asyncio
import inspect
import secrets
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness

if TYPE_CHECKING:
    from pytest_mcp_storage.harnesses.key_value_backend import KeyValueBackend, Locks
    from reference_backends import Clock


class KeyValueHarness(BackendHarness):
    """Drives any py-key-value store through :class:`.key_value_backend.KeyValueBackend`.

    The factory returns a store. If it takes an argument, it gets an empty temporary folder. Each handle has a
    separate store object; collections have a random prefix, so that a shared server's other data is left alone.
    Whether data outlives a handle is found out when the store is provisioned.
    """

    name: ClassVar[str] = "key-value"
    capabilities = frozenset({Capability.DURABLE, Capability.SHARED, Capability.DEFAULT_TTL})
    time_limit = 30.0
    """Longer than usual: in the adapter 200 updates of one identity (RE-3) wait for each other."""
    factory: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        self.prefix = f"mcp{secrets.token_hex(6)}"
        self.version = f"py-key-value-aio {version('py-key-value-aio')}"
        self.make: Callable[..., Any] = type(self).factory
        """Whose module holds the store's source: the store's class, once one was made."""
        self._folder: Path | None = None
        self._locks: Locks = defaultdict(asyncio.Lock)

    @classmethod
    def of(cls, factory: Callable[..., Any]) -> type[Self]:
        """Return the harness class of a factory. Raises ``TypeError`` if it needs more than a folder.

        Raises ``ImportError`` without py-key-value.
        """
        try:
            import key_value.aio  # noqa: F401
        except ImportError:
            raise ImportError("py-key-value is missing: pip install 'pytest-mcp-storage[key-value]'") from None
        parameters = inspect.signature(factory).parameters.values()
        needed = [each.name for each in parameters if each.default is each.empty and each.kind not in
                  (each.VAR_POSITIONAL, each.VAR_KEYWORD)]  # fmt: skip
        if len(needed) > 1:
            raise TypeError(f"a factory of a py-key-value store takes a folder or nothing, not {', '.join(needed)}")
        return type(cls.__name__, (cls,), {"factory": staticmethod(factory), "__module__": cls.__module__})

    async def __aenter__(self) -> Self:
        from pytest_mcp_storage.harnesses.key_value_backend import made_by

        if any(each.default is each.empty for each in inspect.signature(self.factory).parameters.values()):
            self._folder = Path(tempfile.mkdtemp(prefix="mcp-storage-key-value-"))
        store = await made_by(self._store)
        self.make = type(store)
        await store.put("probe", {"found": True}, collection=self.prefix)
        shared = await self._finds_probe()  # before the first store is closed: some allow one object only
        await _closed(store)
        durable = await self._finds_probe()
        found = {Capability.SHARED: shared, Capability.DURABLE: durable}
        self.capabilities = frozenset({Capability.DEFAULT_TTL, *(each for each, is_so in found.items() if is_so)})
        return self

    async def __aexit__(self, *exc: object) -> None:
        from pytest_mcp_storage.harnesses.key_value_backend import made_by

        if self.capabilities - {Capability.DEFAULT_TTL} and self._folder is None:
            store = await made_by(self._store)
            await store.delete("probe", collection=self.prefix)
            await _closed(store)
            backend = await self.open()
            await backend.clear_all()
            await backend.disconnect()
        if self._folder is not None:
            shutil.rmtree(self._folder)

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> KeyValueBackend:
        from pytest_mcp_storage.harnesses.key_value_backend import KeyValueBackend

        options = {} if default_ttl is None else {"default_ttl": default_ttl}
        backend = KeyValueBackend(self._store, prefix=self.prefix, locks=self._locks, **options)
        await backend.init()
        return backend

    def _store(self) -> Any:
        return self.factory() if self._folder is None else self.factory(self._folder)

    async def _finds_probe(self) -> bool:
        """Return whether a new store object has what another one has put."""
        from pytest_mcp_storage.harnesses.key_value_backend import made_by

        try:
            store = await made_by(self._store)
        except Exception:
            return False
        try:
            return await store.get("probe", collection=self.prefix) is not None
        except Exception:
            return False
        finally:
            await _closed(store)


async def _closed(store: Any) -> None:
    if close := getattr(store, "close", None):
        await close()
