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
from pytest_mcp_storage.bridge.handshake import Hello, shake_hands
from pytest_mcp_storage.bridge.wire import Limits, Observer, Wire
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.spec.harness import BackendHarness
from reference_backends import Clock, SessionData
from reference_backends.core.record import FIELD_NAMES


class StdioHarness(BackendHarness):
    """One bridge process, and the store that it provisions. What it can do is known once it has started."""

    name: ClassVar[str] = "stdio"
    command: Sequence[str] = ()
    limits: ClassVar[Limits] = Limits()
    env: Mapping[str, str] | None = None
    """The whole environment of the bridge; ``None``: this process's own."""

    def __init__(self) -> None:
        self._wire: Wire | None = None
        self._attached: Any = None
        self.hello: Hello | None = None
        self.observer: Observer | None = None
        """Is shown every line, both ways: for tests that hold them to the schema."""

    @classmethod
    def of(cls, command: Sequence[str]) -> type[Self]:
        """The harness class of one bridge program.

        It bears the module and the name of the class that it is made from: in another process that one is found, and
        its :meth:`attach` takes the command from the locator.
        """
        members = {"command": tuple(command), "name": f"stdio:{shlex.join(command)}", "__module__": cls.__module__}
        return type(cls.__name__, (cls,), {**members, "__qualname__": cls.__qualname__})

    @property
    def version(self) -> str:
        """What the bridge calls itself, and its version."""
        return f"{self.hello.name} {self.hello.version}" if self.hello else ""

    @property
    def attached(self) -> bool:
        """Whether the store is one that another harness provisioned."""
        return self._attached is not None

    @property
    def wire(self) -> Wire:
        """The started bridge."""
        if self._wire is None:
            raise BridgeFault("the bridge has not been started: use the harness in `async with`")
        return self._wire

    async def __aenter__(self) -> Self:
        hello = await self.start()
        self.capabilities = hello.capabilities if _ends_with_us() else hello.capabilities - {Capability.CRASH}
        self.dedicated, self.time_limit = hello.dedicated, hello.time_limit
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
        """Start the program and shake hands."""
        self._wire = Wire(self.command, self.limits, self.env, self.observer)
        try:
            self.hello = await shake_hands(self._wire)
        except BaseException:
            self.stop()
            raise
        self._wire.accepted = self.hello.longest_line
        return self.hello

    def stop(self) -> None:
        """End the program, on the way out of an error that matters more than what the wire has to say."""
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
                    raise self.wire.fault("answered 'storedBytes' with something not of the form data and next")
            if following is None:
                return b"".join(parts)

    async def stored_fields(self, identity: str, session_id: str) -> Mapping[str, Any]:
        answer = await self.wire.call("storedFields", identity=identity, sessionId=session_id)
        if answer is None:
            raise LookupError("no row of that session lies in the store")
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
            raise self.wire.fault(f"answered {call!r} with something that is not of the form handle")
        return BridgeBackend(self.wire, answer["handle"], clock)

    async def _do(self, call: str, **arguments: Any) -> None:
        limit = self.limits.provision if call in {"provision", "attach", "destroy"} else None
        if await self.wire.call(call, limit, **arguments) is not None:
            raise self.wire.fault(f"answered {call!r} with a result, where there is none to give but null")

    @asynccontextmanager
    async def _within(self, **condition: Any) -> AsyncIterator[None]:
        await self._do("enter", **condition)
        try:
            yield
        finally:
            await self._do("leave", **condition)


def _ends_with_us() -> bool:
    """Whether the bridge dies the moment that this process does, as CRASH needs: the kernel sees to it on Linux."""
    return sys.platform.startswith("linux")
