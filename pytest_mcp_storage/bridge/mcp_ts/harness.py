"""What the harnesses of ``@mcp-ts/sdk`` share: the bridge, its environment, and the proof that the store is right."""

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

CHOOSING = ("MCP_TS_STORAGE_", "REDIS_URL", "SUPABASE_", "STORAGE_ENCRYPTION_KEY")
"""Variables by which upstream chooses its store: this process's own are kept from it."""


class FellBackToMemory(Exception):
    """Upstream could not use the store that it was told to use, and keeps its sessions in memory without an error."""


class McpTsHarness(StdioHarness):
    """A store of ``@mcp-ts/sdk``: its package runs behind a bridge, and :attr:`beneath` holds what it stores into.

    Every handle is a load of upstream's module of its own, with the ``storage`` object that it exports.
    """

    store: ClassVar[str]
    """As ``MCP_TS_STORAGE_TYPE`` has it."""
    packages: ClassVar[Sequence[str]] = ()
    """What npm installs beside the SDK."""
    node_options: ClassVar[Sequence[str]] = ()
    can_fall_back: ClassVar[bool] = True
    proves_each: ClassVar[bool] = False
    """Whether upstream may fall back to memory for any handle, so that each one is put to the proof."""

    def __init__(self, beneath: BackendHarness | None = None) -> None:
        super().__init__()
        self.beneath = beneath or self.provisioned()
        """Provisions the store and looks at it, past upstream."""
        self._is_anothers = beneath is not None
        self._trouble = False

    def provisioned(self) -> BackendHarness:
        """A harness that provisions what upstream stores into; of its methods only ``open`` is not used."""
        raise NotImplementedError

    def settings(self) -> Mapping[str, str]:
        """The environment variables by which upstream finds the store."""
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
        await self.beneath.__aenter__()
        try:
            self.dedicated = self.beneath.dedicated
            kept = {name: value for name, value in os.environ.items() if not name.startswith(CHOOSING)}
            self.env = {**kept, "MCP_TS_STORAGE_TYPE": self.store, **self.settings()}
            await self.start()
            if self.can_fall_back and not self.attached:  # where others are at work it would be no bystander
                await self._prove_at_start()
        except BaseException:
            if self._wire is not None:
                self.stop()
            await self.beneath.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            self.wire.close()
        finally:
            await self.beneath.__aexit__(*exc)

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> BridgeBackend:
        backend = await super().open(encryption_key=encryption_key, clock=clock, default_ttl=default_ttl)
        if self.proves_each:
            await self._prove(backend)
        return backend

    async def holds(self, identity: str, session_id: str) -> bool:
        """Whether the session lies in the store."""
        try:
            await self.beneath.stored_fields(identity, session_id)
        except LookupError:
            return False
        return True

    async def stored_bytes(self) -> bytes:
        return await self.beneath.stored_bytes()

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        return await self.beneath.stored_fields(identity, session_id)

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        await self.beneath.replace_stored_field(identity, session_id, field, value)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self._in_trouble(self.beneath.outage()):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self.beneath.lost_answer():
            yield

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        async with self._in_trouble(self.beneath.unprepared(how)):
            yield

    def files(self) -> Sequence[Path]:
        return self.beneath.files()

    def locator(self) -> Mapping[str, Any]:
        return self.beneath.locator()

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        return cls(type(cls().beneath).attach(locator))

    async def _prove_at_start(self) -> None:
        backend = await super().open()
        await self._prove(backend)
        await backend.disconnect()

    async def _prove(self, backend: BridgeBackend) -> None:
        """See that a session created through the handle lies in the store, where upstream may keep it in memory."""
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
        seen = f"{SDK} was told to use {self.store!r}, and keeps its sessions in memory instead, without an error"
        if self._trouble:
            raise FellBackToMemory(seen)
        raise BridgeFault(f"{seen}. Its log (logger pytest_mcp_storage.bridge) says why")

    @asynccontextmanager
    async def _in_trouble(self, trouble: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
        """Inside it falling back to memory is what upstream does, and not a mistake of this harness."""
        async with trouble:
            self._trouble = True
            try:
                yield
            finally:
                self._trouble = False
