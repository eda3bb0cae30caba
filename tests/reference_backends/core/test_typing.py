"""What authors of stores get from a type checker, and from ``help()``."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

import reference_backends
from reference_backends import BaseBackend, SessionData

STORE = """
from typing import Unpack

from reference_backends import (
    BackendOptions, BaseBackend, SessionData, SessionUpdate, check_changes, check_identity, check_names, check_session
)


class Store(BaseBackend):
    def __init__(self, path: str, **options: Unpack[BackendOptions]) -> None:
        super().__init__(**options)
        self.path = path

    async def init(self) -> None:
        self._opened()

    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        record: dict[str, object] = self._codec.record(check_session(session))
        expires_at: int = self._expiry_ms(ttl)
        self._require_open()
        print(record, expires_at)

    async def update_session(
        self, identity: str, session_id: str, changes: SessionUpdate, ttl: float | None = None
    ) -> None:
        names: tuple[str, str] = check_names(identity, session_id)
        print(names, check_changes(changes))


def good(tokens: dict[str, object] | None) -> SessionData:
    return SessionData(
        session_id="s", identity="i", server_url="", transport_type="sse", callback_url="", created_at=0, tokens=tokens
    )


SessionData(session_id="s", identity="i", server_url="", transport_type="bad", callback_url="", created_at=0)  # error
SessionData(session_id="s", identity="i", server_url="", transport_type="sse", callback_url="")  # error
SessionData(session_id="s", identity="i", server_url="", transport_type="sse", callback_url="", created_at="")  # error
Store("p", default_ttl="12 h")  # error
Store("p")  # error: methods are missing
"""


@pytest.fixture
def cache(tmp_path: Path) -> str:
    """Return mypy's cache folder: that of the repository if there is one, so that the test takes a second."""
    ours = Path(__file__).parents[3] / ".mypy_cache"
    return str(ours if ours.is_dir() else tmp_path / "cache")


def test_mypy_refuses_bad_sessions_and_incomplete_stores(tmp_path: Path, cache: str) -> None:
    source = tmp_path / "store.py"
    source.write_text(STORE)
    found, _, _ = api.run(["--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", cache, str(source)])
    reported = {int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line}
    expected = {number for number, line in enumerate(STORE.splitlines(), 1) if "# error" in line}
    assert reported == expected, found


def test_help_lists_every_field_with_its_unit() -> None:
    text = SessionData.__doc__ or ""
    assert [field for field in SessionData.model_fields if f"``{field}``" not in text] == []
    assert "milliseconds since the epoch" in text


def test_the_help_of_the_base_class_names_what_a_subclass_uses() -> None:
    text = BaseBackend.__doc__ or ""
    used = ["_codec", "_expiry", "_expiry_ms", "_clock", "_now_ms", "_opened", "_closed", "_require_open"]
    assert [name for name in used if f"self.{name}" not in text or not hasattr(BaseBackend(), name)] == []


def test_the_public_checks_say_what_they_return_and_raise() -> None:
    checks = [getattr(reference_backends, name) for name in reference_backends.__all__ if name.startswith("check_")]
    assert len(checks) == 5
    assert [check for check in checks if "Return" not in check.__doc__ or "Raise" not in check.__doc__] == []
