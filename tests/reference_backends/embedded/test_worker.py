"""The thread of a store, without a store."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractContextManager, nullcontext

import pytest

from reference_backends import StorageError
from reference_backends.embedded.worker import Worker, _Call, _deliver


class Engine:
    """Scopes that do nothing."""

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        return


def test_an_unexpected_error_is_no_answer_to_others_of_its_batch() -> None:
    async def scenario() -> None:
        worker = Worker(Engine(), "test")
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            go_on.wait()

        holding = asyncio.create_task(worker.read(hold))
        await asyncio.to_thread(begun.wait)  # the next calls wait, and become one batch
        batch = [asyncio.create_task(worker.read(job)) for job in (lambda: 1 // 0, lambda: "an answer")]
        await asyncio.sleep(0)
        go_on.set()
        wrong, right = await asyncio.gather(*batch, return_exceptions=True)
        assert isinstance(wrong, ZeroDivisionError)
        assert right == "an answer"
        await holding
        await worker.close()

    asyncio.run(scenario())


def test_one_that_has_ended_takes_no_call_and_ends_once() -> None:
    async def scenario() -> None:
        worker = Worker(Engine(), "test")
        await worker.close()
        assert worker.end() is False
        with pytest.raises(StorageError, match="disconnected"):
            async with asyncio.timeout(5):
                await worker.read(lambda: None)

    asyncio.run(scenario())


def test_a_loop_that_is_closed_keeps_no_answer_from_others() -> None:
    async def call() -> _Call:
        return _Call(lambda: None, nullcontext)

    gone = asyncio.run(call())

    async def scenario() -> None:
        waiting = await call()
        _deliver([gone, waiting])
        async with asyncio.timeout(5):
            assert await waiting.answer(5) is None

    asyncio.run(scenario())
