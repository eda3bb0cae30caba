"""Stores that leave threads, tasks, sockets and files behind, or take one for each caller."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import IO, TypeVar

from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, Rows
from pytest_mcp_storage.zoo.mutant import broken
from reference_backends import StorageError, StorageUnavailableError

Answer = TypeVar("Answer")


@broken("RE-1")
class LeavesItsThread(InMemoryBackend):
    """Starts a thread that looks for expired sessions, and never tells it to end."""

    thread: threading.Thread | None = None

    async def init(self) -> None:
        await super().init()
        if self.thread is None:
            self.thread = threading.Thread(target=threading.Event().wait, args=(300,), daemon=True)
            self.thread.start()


@broken("RE-1")
class LeavesItsTask(InMemoryBackend):
    """Starts a task that cleans up every five minutes; disconnect does not cancel it."""

    task: asyncio.Task[None] | None = None

    async def init(self) -> None:
        await super().init()
        if self.task is None:
            self.task = asyncio.create_task(asyncio.sleep(300))


@broken("RE-1")
class LeavesItsConnection(InMemoryBackend):
    """Marks itself as closed and leaves its connection open, which the garbage collector is to find."""

    connection: tuple[socket.socket, socket.socket] | None = None

    async def init(self) -> None:
        await super().init()
        if self.connection is None:
            self.connection = socket.socketpair()


@broken("RE-1")
class LeavesItsFileOpen(InMemoryBackend):
    """Opens the file of its lock with each init, and closes only the latest."""

    lock: IO[bytes] | None = None

    async def init(self) -> None:
        await super().init()
        if self.lock is None:
            self.lock = open(os.devnull, "rb")  # noqa: ASYNC230, SIM115


@broken("RE-1")
class LeavesATemporaryFile(InMemoryBackend):
    """Spools to a temporary file that it never deletes."""

    async def init(self) -> None:
        await super().init()
        descriptor, _ = tempfile.mkstemp(prefix="spool-")
        os.close(descriptor)


@broken("RE-2")
class KeepsTheSocketOfAFailedCall(InMemoryBackend):
    """Opens a connection for each call and closes it after a good answer."""

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        ends = socket.socketpair()
        try:
            answer = await super().call(work)
        except StorageError:
            vars(self.store).setdefault("unclosed", []).append(ends)
            raise
        finally:
            if ends not in vars(self.store).get("unclosed", []):
                for end in ends:
                    end.close()
        return answer


@broken("RE-2")
class LeavesTheWorkOfACancelledCall(InMemoryBackend):
    """Shields each request, and never stops the one whose caller has left: it waits for an answer for ever."""

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        try:
            return await super().call(work)
        except asyncio.CancelledError:
            vars(self).setdefault("waiting", []).append(asyncio.ensure_future(asyncio.sleep(300)))
            raise

    async def disconnect(self) -> None:
        for task in vars(self).get("waiting", []):
            task.cancel()
        await super().disconnect()


@broken("RE-2")
class OpensAnew(InMemoryBackend):
    """Opens a connection with each init, and closes the first one when it disconnects."""

    async def init(self) -> None:
        await super().init()
        vars(self).setdefault("connections", []).append(socket.socketpair())

    async def disconnect(self) -> None:
        for end in vars(self).get("connections", [()])[0]:
            end.close()
        await super().disconnect()


@broken("RE-3")
class AConnectionForEachCaller(InMemoryBackend):
    """Opens a connection for each call, without a limit."""

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        ends = socket.socketpair()
        try:
            await asyncio.sleep(0.01)
            return await super().call(work)
        finally:
            for end in ends:
                end.close()


@broken("RE-3")
class RefusesACrowd(InMemoryBackend):
    """Has a pool of a hundred connections, and raises for the caller who finds none free."""

    busy = 0

    async def call(self, work: Callable[[Rows], Answer]) -> Answer:
        if self.busy >= 100:
            raise StorageUnavailableError("too many connections")
        self.busy += 1
        try:
            return await super().call(work)
        finally:
            self.busy -= 1
