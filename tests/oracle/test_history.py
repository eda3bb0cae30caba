"""The check of histories explains what a dict could have returned, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mcp_storage import NotMeasurable
from pytest_mcp_storage.engine.violation import Violation
from pytest_mcp_storage.oracle.history import assert_linearizable
from pytest_mcp_storage.oracle.linearizability import Fields, Kind, Operation, frozen, is_linearizable
from pytest_mcp_storage.spec.call import Call
from reference_backends import SessionData, SessionExistsError, SessionNotFoundError, StorageUnavailableError

SESSION = SessionData(
    session_id="s",
    identity="alice",
    server_url="https://mcp.example",
    transport_type="sse",
    callback_url="https://app.example",
    created_at=0,
)
WRITES = (Kind.CREATED, Kind.UPDATED, Kind.REMOVED)


def call(caller: str, method: str, start: int, end: int, result: object = None, *more: object) -> Call:
    """Return a call on the session; times in milliseconds; an end of 0 means that no result came."""
    arguments: tuple[object, ...] = ("alice", "s", *more)
    if method == "create_session":
        arguments = (SESSION,)
    elif "identity" in method:
        arguments = ("alice",)
    return Call(caller, method, arguments, None, start * 1_000_000, end * 1_000_000, result)


def named(name: str) -> SessionData:
    return SESSION.model_copy(update={"server_name": name})


CREATED = call("a", "create_session", 1, 2)


@pytest.mark.parametrize(
    "later",
    [
        [call("a", "get_session", 3, 4, SESSION)],
        [call("a", "create_session", 3, 4, SessionExistsError())],
        [call("a", "remove_session", 3, 4), call("b", "get_session", 5, 6, None)],
        [call("a", "update_session", 3, 4, None, {"server_name": "x"}), call("b", "get_session", 5, 6, named("x"))],
        [call("a", "update_session", 3, 9, None, {"server_name": "x"}), call("b", "get_session", 4, 5, SESSION)],
        [call("a", "update_session", 3, 9, None, {"server_name": "x"}), call("b", "get_session", 4, 5, named("x"))],
        [call("a", "remove_session", 3, 9), call("b", "update_session", 4, 8, None, {"server_name": "x"})],
        [call("a", "remove_session", 3, 9), call("b", "update_session", 4, 8, SessionNotFoundError(), {})],
        [call("a", "get_identity_mcp_sessions", 3, 4, ["s", "t"])],
        [call("a", "get_identity_sessions_data", 3, 4, [SESSION])],
        [call("a", "get_all_session_ids", 3, 4, ["s"])],
        [call("a", "remove_session", 3, 0), call("b", "get_session", 4, 5, SESSION)],
        [call("a", "remove_session", 3, 0), call("b", "get_session", 4, 5, None)],
        [call("a", "remove_session", 3, 4, StorageUnavailableError()), call("b", "get_session", 8, 9, SESSION)],
        [call("a", "remove_session", 3, 4, StorageUnavailableError()), call("b", "get_session", 8, 9, None)],
    ],
)
def test_what_a_dict_could_have_answered_is_explained(later: list[Call]) -> None:
    assert assert_linearizable([CREATED, *later]) >= len(later)


@pytest.mark.parametrize(
    "later",
    [
        [call("a", "get_session", 3, 4, None)],
        [call("a", "get_session", 3, 4, named("x"))],
        [call("a", "create_session", 3, 4)],
        [call("a", "remove_session", 3, 4), call("b", "get_session", 5, 6, SESSION)],
        [call("a", "update_session", 3, 4, None, {"server_name": "x"}), call("b", "get_session", 5, 6, SESSION)],
        [call("a", "update_session", 3, 9, None, {"server_name": "x"}), call("b", "get_session", 4, 5, named("x")),
         call("b", "get_session", 6, 7, SESSION)],
        [call("a", "remove_session", 3, 6), call("b", "update_session", 4, 5, None, {"server_name": "x"}),
         call("b", "get_session", 7, 8, named("x"))],
        [call("a", "get_identity_mcp_sessions", 3, 4, [])],
        [call("a", "get_identity_sessions_data", 3, 4, [])],
        [call("a", "get_identity_sessions_data", 3, 4, [named("x")])],
        [call("a", "get_all_session_ids", 3, 4, [])],
        [call("a", "update_session", 3, 4, SessionNotFoundError(), {})],
        [call("a", "remove_session", 3, 0), call("b", "get_session", 4, 5, None),
         call("b", "get_session", 6, 7, SESSION)],
    ],
)  # fmt: skip
def test_what_no_dict_could_have_answered_is_not(later: list[Call]) -> None:
    with pytest.raises(Violation, match="no order of the calls on session 's' explains"):
        assert_linearizable([CREATED, *later])


def test_both_of_two_concurrent_creates_cannot_succeed() -> None:
    with pytest.raises(Violation, match=r"explains b\.create_session"):
        assert_linearizable([call("a", "create_session", 1, 8), call("b", "create_session", 2, 9)])


def test_sessions_are_explained_one_by_one() -> None:
    other = Call("a", "get_session", ("alice", "other"), None, 1, 2, SESSION)
    with pytest.raises(Violation, match="session 'other'"):
        assert_linearizable([CREATED, other])


def test_numbers_compare_by_value_and_true_is_no_number() -> None:
    assert frozen({"a": {"n": 1, "m": [-0.0]}}) == frozen({"a": {"n": 1.0, "m": [0]}})
    assert frozen({"a": 1}) != frozen({"a": True})
    assert frozen({"a": []}) != frozen({"a": {}})


def test_a_field_updated_to_none_is_gone() -> None:
    update = call("a", "update_session", 3, 4, None, {"server_name": None})
    created = Call("a", "create_session", (named("x"),), None, 1, 2)
    assert_linearizable([created, update, call("a", "get_session", 5, 6, SESSION)])


def test_the_timeline_ends_with_the_answer_that_nothing_explains() -> None:
    calls = [
        CREATED,
        call("a", "update_session", 3, 9, None, {"server_name": "x"}),
        call("b", "get_session", 4, 5, named("x")),
        call("c", "get_session", 6, 7, SESSION),
        call("c", "get_session", 20, 21, named("x")),
        Call("c", "get_session", ("alice", "other"), None, 1, 2, None),
    ]
    with pytest.raises(Violation) as caught:
        assert_linearizable(calls)
    shown = caught.value.history
    assert [line.split("│ ")[-1].partition("(")[0] for line in shown] == [
        "a.create_session",
        "a.update_session",
        "b.get_session",
        "c.get_session",
    ]
    assert ["◀" in line for line in shown] == [False, False, False, True]
    assert "no answer" in shown[1]  # at the moment of this result it had not
    assert "0.000 –   1.000 ms" in shown[0]


def test_a_long_history_is_shown_by_its_end() -> None:
    calls = [CREATED, *(call("a", "get_session", 3 + 2 * n, 4 + 2 * n, SESSION) for n in range(60))]
    with pytest.raises(Violation) as caught:
        assert_linearizable([*calls, call("a", "get_session", 500, 501, None)])
    assert len(caught.value.history) == 41
    assert "22 calls before" in caught.value.history[0]


def test_past_the_bound_nothing_is_claimed() -> None:
    updates = [call("a", "update_session", 3, 90, None, {"server_name": f"{n}"}) for n in range(12)]
    with pytest.raises(NotMeasurable, match="over 100 states"):
        assert_linearizable([CREATED, *updates, call("b", "get_session", 95, 96, named("?"))], bound=100)


def explained_by_some_order(operations: Sequence[Operation]) -> bool:
    """Check the definition itself: every subset with all operations that have a result, in every order."""
    answered = [each for each in operations if each.end is not None]
    unanswered = [each for each in operations if each.end is None]
    chosen = itertools.chain.from_iterable(
        itertools.combinations(unanswered, count) for count in range(len(unanswered) + 1)
    )
    return any(
        _follows_time(order) and _as_a_dict(order)
        for some in chosen
        for order in itertools.permutations([*answered, *some])
    )


def _follows_time(order: Sequence[Operation]) -> bool:
    return not any(
        later.end is not None and later.end < earlier.start
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def _as_a_dict(order: Sequence[Operation]) -> bool:
    state: Fields | None = None
    for operation in order:
        legal, state = operation.applied(state)
        if not legal:
            return False
    return True


@st.composite
def some_operations(draw: st.DrawFn) -> list[Operation]:
    drawn = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(Kind))
        start = draw(st.integers(0, 10))
        end = draw(st.one_of(st.integers(start, 12), st.none() if kind in WRITES else st.just(start + 1)))
        fields = draw(st.sampled_from([frozen({"a": 1}), frozen({"a": 2}), frozen({"b": 1})]))
        if kind is Kind.READ and draw(st.booleans()):
            fields = None  # type: ignore[assignment]
        drawn.append(Operation(kind, start, end, fields))
    return drawn


@settings(max_examples=400, deadline=None)
@given(some_operations())
def test_the_search_agrees_with_the_definition(operations: list[Operation]) -> None:
    assert is_linearizable(operations) == explained_by_some_order(operations)
