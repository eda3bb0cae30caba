"""What the harnesses of ``@mcp-ts/sdk`` share: the bridge, its environment, and the check of the store in use."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pytest_mcp_storage.bridge.backend import BridgeBackend
from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.harness import StdioHarness
from pytest_mcp_storage.bridge.mcp_ts.package import SDK, VERSIONS, installed
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import Clock, SessionData

BRIDGE = Path(__file__).parent.parent / "node" / "mcp_ts.mjs"

STORE_VARIABLES = ("MCP_TS_STORAGE_", "REDIS_URL", "SUPABASE_", "STORAGE_ENCRYPTION_KEY")
"""Variables by which upstream chooses its store; this process's are not passed on."""


class FellBackToMemory(Exception):
    """Upstream could not use the configured store, and keeps its sessions in memory without an error."""


class McpTsHarness(StdioHarness):
    """A store of ``@mcp-ts/sdk``: its package runs behind a bridge, and :attr:`underlying` provisions its store.

    Each handle loads upstream's module again, and uses the ``storage`` object that it exports.
    """

    store: ClassVar[str]
    """The value of ``MCP_TS_STORAGE_TYPE``."""
    packages: ClassVar[Sequence[str]] = ()
    """Packages that npm installs in addition to the SDK."""
    node_options: ClassVar[Sequence[str]] = ()
    can_fall_back: ClassVar[bool] = True
    checks_each_open: ClassVar[bool] = False
    """Whether upstream may fall back to memory; if so, each handle is checked."""

    def __init__(self, underlying: BackendHarness | None = None) -> None:
        super().__init__()
        self.underlying = underlying or self.provisioned()
        """Provisions the store and reads it without upstream."""
        self._is_anothers = underlying is not None
        self._fault_active = False

    def provisioned(self) -> BackendHarness:
        """Make the harness that provisions upstream's store; its ``open`` is not used."""
        raise NotImplementedError

    def settings(self) -> Mapping[str, str]:
        """Return the environment variables by which upstream finds the store."""
        raise NotImplementedError

    @property
    def attached(self) -> bool:
        return self._is_anothers

    @property
    def version(self) -> str:
        return f"{SDK} {VERSIONS[SDK]}"

    async def __aenter__(self) -> Self:
        folder = await installed(*self.packages)
        self.command = ("node", *self.node_options, str(BRIDGE), str(folder))
        await self.underlying.__aenter__()
        try:
            self.dedicated = self.underlying.dedicated
            kept = {name: value for name, value in os.environ.items() if not name.startswith(STORE_VARIABLES)}
            self.env = {**kept, "MCP_TS_STORAGE_TYPE": self.store, **self.settings()}
            await self.start()
            if self.can_fall_back and not self.attached:  # an attached store may be in use, so don't write to it
                await self._check_storage_at_start()
        except BaseException:
            if self._wire is not None:
                self.stop()
            await self.underlying.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            self.wire.close()
        finally:
            await self.underlying.__aexit__(*exc)

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> BridgeBackend:
        backend = await super().open(encryption_key=encryption_key, clock=clock, default_ttl=default_ttl)
        if self.checks_each_open:
            await self._check_storage(backend)
        return backend

    async def holds(self, identity: str, session_id: str) -> bool:
        """Return whether the session is in the store."""
        try:
            await self.underlying.stored_fields(identity, session_id)
        except LookupError:
            return False
        return True

    async def stored_bytes(self) -> bytes:
        return await self.underlying.stored_bytes()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        return await self.underlying.stored_fields(identity, session_id)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        await self.underlying.replace_stored_field(identity, session_id, field, value)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self._with_fault(self.underlying.outage()):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.underlying.lost_answer():
            yield

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        async with self._with_fault(self.underlying.unprepared(how)):
            yield

    def files(self) -> Sequence[Path]:
        return self.underlying.files()

    def locator(self) -> Mapping[str, Any]:
        return self.underlying.locator()

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(type(cls().underlying).attach(locator))

    async def _check_storage_at_start(self) -> None:
        backend = await super().open()
        await self._check_storage(backend)
        await backend.disconnect()

    async def _check_storage(self, backend: BridgeBackend) -> None:
        """Check that a session that the handle creates is in the store: upstream may keep it in memory."""
        probe = SessionData(
            session_id=f"probe{secrets.token_hex(8)}",
            identity="mcp-storage-probe",
            server_url="https://probe.invalid",
            transport_type="sse",
            callback_url="https://probe.invalid/callback",
            created_at=1,
        )
        await backend.create_session(probe)
        held = await self.holds(probe.identity, probe.session_id)
        await backend.remove_session(probe.identity, probe.session_id)
        if held:
            return
        seen = f"{SDK} is configured to use {self.store!r}, but keeps its sessions in memory without an error"
        if self._fault_active:
            raise FellBackToMemory(seen)
        raise BridgeFault(f"{seen}. Its log (logger pytest_mcp_storage.bridge) says why")

    @asynccontextmanager
    async def _with_fault(self, trouble: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        """Take a fall back to memory in the block as upstream's behaviour, not as a fault of this harness."""
        async with trouble:
            self._fault_active = True
            try:
                yield
            finally:
                self._fault_active = False
