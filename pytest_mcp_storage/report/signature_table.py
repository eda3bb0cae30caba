"""The table of kill signatures: how it is stored, and read by a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def signatures() -> dict[str, Any]:
    """Return the kill signatures of the zoo, as the command ``mcp-storage zoo --signatures`` has written them."""
    file = files("pytest_mcp_storage").joinpath("zoo/signatures.json")
    if not file.is_file():
        return {"mutants": {}, "threshold": None}
    return parsed(file.read_text(encoding="utf-8"))


def parsed(text: str) -> dict[str, Any]:
    """Return a stored table: the figures of its calibration, and by mutant its clauses and how each failed."""
    table: dict[str, Any] = json.loads(text)
    return {**table, "mutants": {name: expanded(each) for name, each in table["mutants"].items()}}


def packed(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return a signature as it is stored: the clauses by how they failed, which many have in common."""
    by_kind: dict[str, list[str]] = {}
    for id, kind in signature["failed"].items():
        by_kind.setdefault(kind, []).append(id)
    return {**signature, "failed": [[kind, " ".join(ids)] for kind, ids in by_kind.items()]}


def expanded(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored signature with how each clause failed, by its id."""
    return {**stored, "failed": {id: kind for kind, ids in stored["failed"] for id in ids.split()}}
