"""Processes that share one login: one refreshes, the others take its tokens."""

from __future__ import annotations

import asyncio

import pytest

from tests.reference_backends.mcp.refreshes import run


@pytest.mark.parametrize("store", ["sqlite", "redis", "supabase"])
def test_no_process_is_signed_out(store: str) -> None:
    """``python -m tests.reference_backends.mcp.refreshes`` does it with eight processes and 500 refreshes."""
    figures = asyncio.run(run(store, refreshes=8, processes=3))
    assert figures["refreshes"] >= 8
    assert figures["calls"] > 0
    for name in "forced logins", "logins", "reused", "errors", "died":
        assert figures.get(name, 0) == 0, figures
