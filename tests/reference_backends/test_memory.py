"""The memory store, call by call."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from reference_backends import (
    ConfigurationError,
    DecryptionError,
    InvalidSessionError,
    MemoryStorageBackend,
    SessionData,
    SessionExistsError,
    SessionNotFoundError,
    StorageBackend,
    StorageError,
)
from tests.reference_backends.forked import forked

Build = Callable[..., SessionData]


class SetClock:
    """A clock that changes only when the test sets it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def run(scenario: Callable[[MemoryStorageBackend], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        backend = MemoryStorageBackend(**options)
        await backend.init()
        await scenario(backend)
        await backend.disconnect()

    asyncio.run(main())


def test_it_is_a_storage_backend() -> None:
    assert isinstance(MemoryStorageBackend(), StorageBackend)


def test_sessions_come_back_and_are_listed(session: Build) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        one, two, other = session("s1"), session("s2", tokens={}), session("s1", "bob", active=False)
        for each in (one, two, other):
            await backend.create_session(each)
        assert await backend.get_session("alice", "s1") == one
        assert await backend.get_session("bob", "s1") == other
        assert await backend.get_session("bob", "s2") is None
        assert sorted(await backend.get_identity_mcp_sessions("alice")) == ["s1", "s2"]
        assert {each.session_id: each for each in await backend.get_identity_sessions_data("alice")} == {
            "s1": one,
            "s2": two,
        }
        assert sorted(await backend.get_all_session_ids()) == ["s1", "s1", "s2"]
        assert await backend.get_identity_sessions_data("nobody") == []

    run(scenario)


def test_what_is_refused_changes_nothing(session: Build) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session(server_name="first"))
        with pytest.raises(SessionExistsError):
            await backend.create_session(session(server_name="second"))
        for identity, session_id in (("alice", "s2"), ("bob", "s1")):
            with pytest.raises(SessionNotFoundError):
                await backend.update_session(identity, session_id, {"server_name": "x"})
        wrong: list[Any] = [{"identity": "bob"}, {"nonsense": 1}, {"server_url": None}, {"tokens": []}]
        for changes in wrong:
            with pytest.raises(InvalidSessionError):
                await backend.update_session("alice", "s1", changes)
        with pytest.raises(InvalidSessionError):
            await backend.update_session("alice", "s1", {"server_name": "x"}, ttl=0)
        with pytest.raises(InvalidSessionError):
            await backend.create_session(session("s3"), ttl=float("nan"))
        assert await backend.get_all_session_ids() == ["s1"]
        assert await backend.get_session("alice", "s1") == session(server_name="first")

    run(scenario)


def test_an_update_changes_the_named_fields(session: Build) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session(tokens={"a": 1, "b": 2}, code_verifier="v", server_name="n"))
        await backend.update_session("alice", "s1", {"tokens": {"a": 3}, "code_verifier": None})
        assert await backend.get_session("alice", "s1") == session(tokens={"a": 3}, server_name="n")

    run(scenario)


@pytest.mark.parametrize("keyed", [False, True])
def test_nothing_is_shared_with_the_caller(session: Build, key: str, keyed: bool) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        given = session(tokens={"scopes": ["a"]}, client_information={"redirect_uris": ["r"]})
        await backend.create_session(given)
        assert given.tokens is not None
        given.tokens["scopes"].append("mine")
        new = {"redirect_uris": ["new"]}
        await backend.update_session("alice", "s1", {"client_information": new})
        new["redirect_uris"].append("mine")
        for read in (await backend.get_session("alice", "s1"), *await backend.get_identity_sessions_data("alice")):
            assert read is not None
            assert read.tokens is not None
            assert read.client_information is not None
            read.tokens["scopes"].append("mine")
            read.client_information["redirect_uris"].append("mine")
        stored = await backend.get_session("alice", "s1")
        assert stored == session(tokens={"scopes": ["a"]}, client_information={"redirect_uris": ["new"]})

    run(scenario, encryption_key=key if keyed else None)


def test_sessions_expire_each_by_its_own_ttl(session: Build) -> None:
    clock = SetClock()

    async def scenario(backend: MemoryStorageBackend) -> None:
        born = clock.now
        await backend.create_session(session("short"), ttl=10)
        await backend.create_session(session("default"))
        await backend.create_session(session("long"), ttl=1000)
        clock.now = born + 9.999
        assert await backend.get_session("alice", "short") is not None
        clock.now = born + 10
        assert await backend.get_session("alice", "short") is None
        assert sorted(await backend.get_identity_mcp_sessions("alice")) == ["default", "long"]
        assert sorted(await backend.get_all_session_ids()) == ["default", "long"]
        with pytest.raises(SessionNotFoundError):
            await backend.update_session("alice", "short", {})
        await backend.create_session(session("short", server_name="new"), ttl=10)
        await backend.update_session("alice", "long", {})
        clock.now += 100
        assert await backend.get_all_session_ids() == []

    run(scenario, clock=clock, default_ttl=100)


def test_cleanup_removes_what_expired_and_nothing_else(session: Build) -> None:
    clock = SetClock()

    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session("short"), ttl=10)
        await backend.create_session(session("short", "bob"), ttl=10)
        await backend.create_session(session("long"), ttl=1000)
        clock.now += 10
        await backend.cleanup_expired_sessions()
        await backend.cleanup_expired_sessions()
        clock.now -= 5  # expired sessions that were kept would be returned again
        assert await backend.get_all_session_ids() == ["long"]

    run(scenario, clock=clock)


def test_removal_is_harmless_where_there_is_nothing(session: Build) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session())
        await backend.remove_session("bob", "s1")
        await backend.remove_session("alice", "s2")
        assert await backend.get_session("alice", "s1") is not None
        await backend.remove_session("alice", "s1")
        await backend.remove_session("alice", "s1")
        assert await backend.get_session("alice", "s1") is None
        await backend.create_session(session())
        await backend.clear_all()
        assert await backend.get_all_session_ids() == []

    run(scenario)


def test_a_closed_store_answers_nothing_and_opens_again(session: Build) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session())
        await backend.disconnect()
        await backend.disconnect()
        for call in (
            backend.create_session(session("s2")),
            backend.update_session("alice", "s1", {}),
            backend.get_session("alice", "s1"),
            backend.get_identity_sessions_data("alice"),
            backend.get_identity_mcp_sessions("alice"),
            backend.remove_session("alice", "s1"),
            backend.get_all_session_ids(),
            backend.clear_all(),
            backend.cleanup_expired_sessions(),
        ):
            with pytest.raises(StorageError, match="not open"):
                await call
        await backend.init()
        await backend.init()
        assert await backend.get_all_session_ids() == []

    run(scenario)


def test_of_many_threads_one_creates(session: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryStorageBackend()
    look = backend._live

    def look_slowly(identity: str, session_id: str) -> Any:
        found = look(identity, session_id)
        time.sleep(0.005)  # without a lock the other threads would read here, too
        return found

    monkeypatch.setattr(backend, "_live", look_slowly)
    asyncio.run(backend.init())
    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def create() -> None:
        start.wait()
        try:
            asyncio.run(backend.create_session(session()))
        except SessionExistsError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]


def test_one_that_cannot_be_decrypted_is_named_and_the_others_are_served(session: Build, key: str) -> None:
    async def scenario(backend: MemoryStorageBackend) -> None:
        await backend.create_session(session("good", tokens={"a": 1}))
        await backend.create_session(session("bad", tokens={"a": 1}))
        record, expires_at = backend._entries["alice"]["bad"]
        backend._entries["alice"]["bad"] = type(backend._entries["alice"]["bad"])(
            record | {"tokens": record["tokens"][:-2]}, expires_at
        )
        for call in (backend.get_session("alice", "bad"), backend.get_identity_sessions_data("alice")):
            with pytest.raises(DecryptionError) as caught:
                await call
            assert caught.value.session_id == "bad"
        assert await backend.get_session("alice", "good") == session("good", tokens={"a": 1})
        assert len(await backend.get_identity_mcp_sessions("alice")) == 2

    run(scenario, encryption_key=key)


def test_a_handle_without_a_key_warns_once(caplog: pytest.LogCaptureFixture, key: str) -> None:
    async def opened_twice(**options: Any) -> int:
        caplog.clear()
        backend = MemoryStorageBackend(**options)
        await backend.init()
        await backend.init()
        await backend.disconnect()
        await backend.init()
        return len([record for record in caplog.records if record.levelno == logging.WARNING])

    assert asyncio.run(opened_twice()) == 1
    assert asyncio.run(opened_twice()) == 1
    assert asyncio.run(opened_twice(encryption_key=key)) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"encryption_key": "short"},
        {"encryption_key": []},
        {"default_ttl": 0},
        {"default_ttl": "1"},
        {"default_ttl": True},
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        MemoryStorageBackend(**options)


def test_generated_ids_are_a_letter_then_letters_and_digits() -> None:
    ids = [MemoryStorageBackend().generate_session_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(each) == 16 and each.isascii() and each.isalnum() and each[0].isalpha() for each in ids)
    assert all(len({each[place] for each in ids}) > 40 for place in range(16))


def test_a_child_is_not_locked_out_by_a_thread_of_its_parent(session: Build) -> None:
    async def opened() -> MemoryStorageBackend:
        backend = MemoryStorageBackend()
        await backend.init()
        await backend.create_session(session())
        return backend

    backend = asyncio.run(opened())
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with backend._lock:
            inside.set()
            leave.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()

    async def ask() -> None:
        with pytest.raises(StorageError, match="forked"):
            await backend.get_all_session_ids()
        await backend.disconnect()
        await backend.init()
        assert await backend.get_all_session_ids() == []
        await backend.create_session(session("child's"))

    child = forked(ask)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asyncio.run(backend.get_all_session_ids()) == ["s1"]
