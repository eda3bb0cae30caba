"""What the steps of a planned sequence write. It follows from a step alone, so that a run can be shrunk."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.oracle.edge_cases import FILLED
from pytest_mcp_storage.oracle.operations import Effect, Operation
from pytest_mcp_storage.oracle.sequence_plan import Step
from pytest_mcp_storage.oracle.store_model import SessionKey
from reference_backends import SessionData

REFUSED: tuple[dict[str, Any], ...] = ({"session_id": "other"}, {"identity": "other"}, {"no_such_field": 1})
NOTHING: dict[str, Any] = dict.fromkeys(("tokens", "headers", "code_verifier", "server_id", "client_id"))


def session_of(step: Step, name: SessionKey, secret: str) -> SessionData:
    """Return the session that a step creates. ``secret``: what each sealed secret begins with."""
    fields = {
        **FILLED,
        **_secrets(f"clear{step.number}" if step.operation.name == "create in clear" else f"{secret}{step.number}"),
        "server_name": f"created at step {step.number}",
        "server_url": f"https://mcp.example/{step.number}",
        "created_at": FILLED["created_at"] + step.number,
    }
    if step.number % 3 == 0:
        fields |= NOTHING
    return SessionData(identity=name[0], session_id=name[1], **fields)


def changes_of(step: Step, secret: str) -> dict[str, Any]:
    """Return the fields that a step updates."""
    number = step.number
    match step.operation.name:
        case "renewal" | "renewal with ttl":
            return {}
        case "refused update":
            return {"server_name": f"refused at step {number}"} | REFUSED[number % len(REFUSED)]
        case "update of secrets" | "update without an answer":
            return _secrets(f"{secret}{number}", brief=number % 2 == 0)
        case "revocation":
            return NOTHING
        case "update of a missing session" if number % 3:
            return {}
    return {"server_name": f"updated at step {number}", "active": number % 2 == 0}


def ttl_of(operation: Operation) -> float | None:
    """Return the TTL that a step names."""
    named = "ttl" in operation.name or operation.effect is Effect.UNCERTAIN
    return operation.seconds if named else None


def _secrets(text: str, *, brief: bool = False) -> dict[str, Any]:
    more = {} if brief else {"refresh_token": f"{text}r", "token_type": "Bearer"}
    return {
        "tokens": {"access_token": text, **more},
        "headers": {"Authorization": f"Bearer {text}h", **({} if brief else {"X-Key": f"{text}k"})},
        "code_verifier": f"{text}v",
        "client_information": {"client_id": "app", "client_secret": f"{text}s"},
    }
