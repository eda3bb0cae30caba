"""Drives a store through a bridge program: ``--mcp-backend='stdio:node ./bridge.mjs'``."""

from __future__ import annotations

import base64
import binascii
import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pytest_mcp_storage.bridge.backend import BridgeBackend, to_foreign
from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.handshake import Hello, exchange_hello
from pytest_mcp_storage.bridge.wire import Limits, Observer, Wire
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import Clock, SessionData
from reference_backends.core.record import FIELD_NAMES


class StdioHarness(BackendHarness):
    """One bridge process, and the store that it provisions. Its capabilities are known after it has started."""

    name: ClassVar[str] = "stdio"
    command: Sequence[str] = ()
    limits: ClassVar[Limits] = Limits()
    env: Mapping[str, str] | None = None
    """The complete environment of the bridge; ``None``: this process's environment."""

    def __init__(self) -> None:
        self._wire: Wire | None = None
        self._attached: Any = None
        self.hello: Hello | None = None
        self.observer: Observer | None = None
        """Gets every line in both directions, for tests that validate them."""

    @classmethod
    def of(cls, command: Sequence[str]) -> type[Self]:
        """Make the harness class of one bridge program.

        It has the module and the name of the class that it is made from. Another process finds that class, and its
        :meth:`attach` takes the command from the locator.
        """
        members = {"command": tuple(command), "name": f"stdio:{shlex.join(command)}", "__module__": cls.__module__}
        return type(cls.__name__, (cls,), {**members, "__qualname__": cls.__qualname__})

    @property
    def version(self) -> str:
        """Return the name and version that the bridge reports."""
        return f"{self.hello.name} {self.hello.version}" if self.hello else ""

    @property
    def attached(self) -> bool:
        """Return whether another harness provisioned the store."""
        return self._attached is not None

    @property
    def wire(self) -> Wire:
        """Return the started bridge."""
        if self._wire is None:
            raise BridgeFault("the bridge has not been started: use the harness in `async with`")
        return self._wire

    async def __aenter__(self) -> Self:
        hello = await self.start()
        self.capabilities = hello.capabilities if _ends_with_us() else hello.capabilities - {Capability.CRASH}
        self.dedicated, self.time_limit = hello.dedicated, hello.time_limit
        self.default_ttl_seconds = hello.default_ttl
        try:
            if self._attached is None:
                await self._do("provision")
            else:
                await self._do("attach", locator=self._attached)
        except BaseException:
            self.stop()
            raise
        return self

    async def start(self) -> Hello:
        """Start the program and exchange ``hello``."""
        self._wire = Wire(self.command, self.limits, self.env, self.observer)
        try:
            self.hello = await exchange_hello(self._wire)
        except BaseException:
            self.stop()
            raise
        self._wire.accepted = self.hello.longest_line
        return self.hello

    def stop(self) -> None:
        """End the program after an error, and ignore further faults of the bridge."""
        with suppress(BridgeFault):
            self.wire.close()

    async def __aexit__(self, *exc: object) -> None:
        try:
            if self._attached is None and not self.wire.broken:
                await self._do("destroy")
        finally:
            self.wire.close()

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> BridgeBackend:
        options: dict[str, Any] = {}
        if encryption_key is not None:
            options["encryptionKey"] = encryption_key if isinstance(encryption_key, str) else list(encryption_key)
        if default_ttl is not None:
            options["defaultTtl"] = default_ttl
        return await self._opened("open", clock, options=options)

    async def stored_bytes(self) -> bytes:
        parts: list[bytes] = []
        following: Any = None
        while True:
            given = {} if following is None else {"from": following}
            answer = await self.wire.call("storedBytes", **given)
            match answer:
                case {"data": str(data), "next": following} if len(answer) == 2:
                    try:
                        parts.append(base64.b64decode(data, validate=True))
                    except (binascii.Error, ValueError):
                        raise self.wire.fault("answered 'storedBytes' with data that is not base64") from None
                case _:
                    raise self.wire.fault(
                        "answered 'storedBytes' with something that is not an object of data and next"
                    )
            if following is None:
                return b"".join(parts)

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        answer = await self.wire.call("storedFields", identity=identity, sessionId=session_id)
        if answer is None:
            raise LookupError("the store has no row of that session")
        if not isinstance(answer, dict) or not {"tokens", "headers"} <= answer.keys():
            raise self.wire.fault("answered 'storedFields' without tokens and headers")
        return {FIELD_NAMES.get(name, name): value for name, value in answer.items()}

    async def replace_stored_field(self, identity: str, session_id: str, field: str, value: Any) -> None:
        await self._do("replaceStoredField", identity=identity, sessionId=session_id, field=field, value=value)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with self._within(condition="outage"):
            yield

    @asynccontextmanager
    async def lost_answer(self) -> AsyncIterator[None]:
        async with self._within(condition="lostAnswer"):
            yield

    @asynccontextmanager
    async def fail_request(self, k: int, how: Literal["refused", "lost", "late", "conflict"]) -> AsyncIterator[None]:
        async with self._within(condition="failRequest", request=k, how=how):
            yield

    @asynccontextmanager
    async def unprepared(self, how: Literal["missing", "old"]) -> AsyncIterator[None]:
        async with self._within(condition="unprepared", how=how):
            yield

    def files(self) -> Sequence[Path]:
        answer = self.wire.call_now("files")
        if not isinstance(answer, list) or not answer or not all(isinstance(path, str) for path in answer):
            raise self.wire.fault("answered 'files' with something that is not a list of paths")
        return [Path(path) for path in answer]

    def locator(self) -> Mapping[str, Any]:
        return {"command": list(self.command), "store": self.wire.call_now("locator")}

    @classmethod
    def attach(cls, locator: Mapping[str, Any]) -> Self:
        harness = cls.of(locator["command"])()
        harness._attached = locator["store"]
        return harness

    async def open_as(self, user: str | None) -> BridgeBackend:
        return await self._opened("openAs", None, user=user)

    async def write_row_as(self, user: str | None, session: SessionData, owner: str) -> None:
        await self._do("writeRowAs", user=user, session=to_foreign(session), owner=owner)

    async def _opened(self, call: str, clock: Clock | None, **arguments: Any) -> BridgeBackend:
        if self._wire is None and self.attached:
            await self.__aenter__()  # a caller that attached without entering
        now = {} if clock is None else {"now": clock()}
        answer = await self.wire.call(call, **arguments, **now)
        if not isinstance(answer, dict) or answer.keys() != {"handle"} or not isinstance(answer["handle"], str):
            raise self.wire.fault(f"answered {call!r} with something that has no handle")
        shares_objects = self.hello is not None and self.hello.shares_objects
        return BridgeBackend(self.wire, answer["handle"], clock, shares_objects=shares_objects)

    async def _do(self, call: str, **arguments: Any) -> None:
        limit = self.limits.provision if call in {"provision", "attach", "destroy"} else None
        if await self.wire.call(call, limit, **arguments) is not None:
            raise self.wire.fault(f"answered {call!r} with a result other than null")

    @asynccontextmanager
    async def _within(self, **condition: Any) -> AsyncIterator[None]:
        await self._do("enter", **condition)
        try:
            yield
        finally:
            await self._do("leave", **condition)


def _ends_with_us() -> bool:
    """Return whether the bridge dies with this process, as CRASH needs: the kernel does that on Linux."""
    return sys.platform.startswith("linux")
