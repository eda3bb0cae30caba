"""A plain sequence of calls, in which a store with a simple defect fails whatever clause has found the defect."""

from __future__ import annotations

from pytest_mcp_storage.engine.recording import HandleOptions
from pytest_mcp_storage.oracle.judge import LISTINGS
from pytest_mcp_storage.oracle.scenario import PASS, Scenario, Step
from pytest_mcp_storage.oracle.simplification import REQUIRED
from reference_backends import SessionData

HANDLE = "store"
SHORT, LONG = (
    SessionData.model_validate({"identity": "alice", "session_id": session_id, **REQUIRED})
    for session_id in ("s1", "s2")
)


def _reads() -> list[Step]:
    named = [Step(HANDLE, "get_session", ("alice", session_id)) for session_id in ("s1", "s2")]
    lists = [Step(HANDLE, method, () if method == "get_all_session_ids" else ("alice",)) for method in LISTINGS]
    return [*named, *lists]


PLAIN = Scenario(
    (
        Step(HANDLE, "create_session", (SHORT,), ttl=1),
        Step(HANDLE, "create_session", (LONG,)),
        Step(HANDLE, "update_session", ("alice", "s2", {"server_name": "new"})),
        *_reads(),
        Step("", PASS, seconds=2),
        *_reads(),
        Step(HANDLE, "update_session", ("alice", "s1", {"server_name": "late"})),
        Step(HANDLE, "create_session", (SHORT,)),
        Step(HANDLE, "create_session", (LONG,)),
        Step(HANDLE, "remove_session", ("alice", "s2")),
        *_reads(),
        Step(HANDLE, "cleanup_expired_sessions"),
        *_reads(),
    ),
    {HANDLE: HandleOptions()},
)
"""Create with and without a TTL, update, let one expire, create again, remove, clean up; reads after each part."""
