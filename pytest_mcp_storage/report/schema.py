"""The JSON Schema of the JSON report, made from the model."""

from __future__ import annotations

from typing import Any

from pytest_mcp_storage.report.model import SCHEMA, Report

URL = f"https://pytest-mcp-storage.github.io/pytest-mcp-storage/report-{SCHEMA}.schema.json"
"""Where the site publishes the schema."""


def report_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of what ``--mcp-report FILE.json`` writes. Further keys are allowed."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(Report).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": URL, **schema}
