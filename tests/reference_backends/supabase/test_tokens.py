"""Keys and logins that are refused by ``init`` or while the store is in use."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from pytest_mcp_storage.stacks.supabase.stack import SupabaseStack
from reference_backends import ConfigurationError, StorageSetupError, StorageUnavailableError, SupabaseStorageBackend
from reference_backends.supabase.project import SupabaseProjectBackend
from reference_backends.supabase.refusals import Caller, Refusal, refused
from tests.reference_backends.supabase.failures import CALLS, SESSION, backend_at, fails, forwarding

WHILE_IN_USE = {name: call for name, call in CALLS.items() if name != "init"}


class Gateway:
    """A gateway in front of a stack. It replaces the keys ``good`` by the service key, and refuses all others."""

    def __init__(self, stack: SupabaseStack, *good: str) -> None:
        self.stack = stack
        self.good = set(good)

    def served(self) -> Any:
        def judge(request: web.BaseRequest, headers: dict[str, str]) -> web.Response | None:
            if request.headers["apikey"] not in self.good:
                return web.json_response({"message": "Invalid API key"}, status=401)
            if request.headers["Authorization"] == f"Bearer {request.headers['apikey']}":
                headers["Authorization"] = f"Bearer {self.stack.service_role_key}"
            headers["apikey"] = str(self.stack.service_role_key)
            return None

        return forwarding(self.stack, judge)


@pytest.mark.parametrize("call", WHILE_IN_USE.values(), ids=WHILE_IN_USE)
async def test_a_key_that_is_rotated_is_an_outage_until_the_client_has_the_new_one(
    stack: SupabaseStack, call: Any
) -> None:
    gateway = Gateway(stack, "sb_secret_old")
    async with gateway.served() as url, backend_at(url, "sb_secret_old") as backend:
        await backend.init()
        gateway.good = {"sb_secret_new"}
        await fails(call, backend, StorageUnavailableError, "key expired or rotated")
        backend._client.supabase_key = "sb_secret_new"
        await backend.create_session(SESSION)
        backend._client.supabase_key = "sb_secret_third"
        await fails(call, backend, StorageUnavailableError, "key expired or rotated")
        gateway.good = {"sb_secret_third"}
        assert isinstance(await backend.get_all_session_ids(), list)
        await backend.clear_all()


async def test_the_key_may_come_from_a_function(stack: SupabaseStack) -> None:
    gateway = Gateway(stack, "sb_secret_1")
    keys = ["sb_secret_1"]
    async with gateway.served() as url:
        project = SupabaseProjectBackend(url, lambda: keys[-1])
        async with backend_at(url, "unused", api_key=lambda: keys[-1]) as lent:
            for backend in (project, lent):
                await backend.init()
                gateway.good = {"sb_secret_2"}
                await fails(CALLS["all ids"], backend, StorageUnavailableError, "key expired or rotated")
                keys.append("sb_secret_2")
                assert await backend.get_all_session_ids() == []
                keys.append("sb_secret_1")
                gateway.good = {"sb_secret_1"}
        await project.disconnect()
        keys.append("sb_secret_1")
        await project.init()
        assert await project.get_all_session_ids() == []
        await project.disconnect()


async def test_at_init_the_same_refusal_is_a_setting(stack: SupabaseStack) -> None:
    gateway = Gateway(stack, "sb_secret_old")
    async with gateway.served() as url, backend_at(url, "sb_secret_old") as backend:
        await backend.init()
        gateway.good = set()
        await fails(CALLS["init"], backend, ConfigurationError, "SUPABASE_SECRET_KEY")
        gateway.good = {"sb_secret_old"}
        await backend.init()


async def test_a_login_that_expires_while_the_store_lives(stack: SupabaseStack) -> None:
    """A new key does not replace the token of a user."""
    token = stack.token("alice", lifetime=3600)
    async with backend_at(stack.url, str(stack.anon_key), Authorization=f"Bearer {token}") as backend:
        await backend.init()
        backend._client.options.headers["Authorization"] = f"Bearer {stack.token('alice', lifetime=-60)}"
        backend._client._postgrest = None  # supabase-py does this at each change of the login
        await fails(CALLS["get"], backend, StorageUnavailableError, "sign in again")
        await fails(CALLS["get"], backend, StorageUnavailableError, "key expired or rotated")


async def test_a_login_is_kept_when_the_key_is_rotated(stack: SupabaseStack) -> None:
    gateway = Gateway(stack, "sb_publishable_old")
    login = {"Authorization": f"Bearer {stack.token('alice')}"}
    async with gateway.served() as url, backend_at(url, "sb_publishable_old", **login) as backend:
        await backend.init()
        await backend.create_session(SESSION)
        gateway.good = {"sb_publishable_new"}
        backend._client.supabase_key = "sb_publishable_new"
        assert await backend.get_identity_mcp_sessions("alice") == ["s1"]
        assert await backend.get_identity_mcp_sessions("bob") == []
        await backend.clear_all()


# In the words of the given versions of PostgREST. Recorded from its source and its own tests (v12.2.12,
# v13.0.8, v14.17, v16.2): the native stack has 12.0, and no registry has the others.
JWT_ERRORS = [
    ("12", "PGRST301", "JWT expired", "it is expired"),
    ("12", "PGRST301", "JWTIssuedAtFuture", "clock skew"),
    ("12", "PGRST301", "JWTNotYetValid", "clock skew"),
    ("12", "PGRST301", "JWTNotInAudience", "another audience"),
    ("12", "PGRST301", "JWSError JWSInvalidSignature", "not signed by this project"),
    ("12", "PGRST301", "JWSError (CompactDecodeError Invalid number of parts: Expected 3 parts; got 2)", "not signed"),
    ("13-16", "PGRST303", "JWT expired", "it is expired"),
    ("13-16", "PGRST303", "JWT issued at future", "clock skew"),
    ("13-16", "PGRST303", "JWT not yet valid", "clock skew"),
    ("13-16", "PGRST303", "JWT not in audience", "another audience"),
    ("13-16", "PGRST303", "The JWT 'exp' claim must be a number", "a claim of its token"),
    ("13-16", "PGRST301", "No suitable key or wrong key type", "JWT keys were changed"),
    ("13-16", "PGRST301", "JWT cryptographic operation failed", "JWT keys were changed"),
    ("13-16", "PGRST301", "Expected 3 parts in JWT; got 2", "not signed by this project"),
    ("12-16", "PGRST302", "Anonymous access is disabled", "no anonymous requests"),
]


@pytest.mark.parametrize(("version", "code", "message", "reason"), JWT_ERRORS)
@pytest.mark.parametrize("in_use", [False, True])
def test_recorded_refusals_of_tokens(version: str, code: str, message: str, reason: str, in_use: bool) -> None:
    error = refused(Refusal(401, code, message.lower()), Caller(in_use=in_use))
    assert type(error) is (StorageUnavailableError if in_use else ConfigurationError)
    assert reason in str(error)
    assert code in str(error)


def test_each_code_has_its_own_text() -> None:
    texts = {
        str(refused(Refusal(401, code, "")))
        for code in ("PGRST300", "PGRST301", "PGRST302", "PGRST303", "42501", "", "22023")
    }
    assert len(texts) == 7


@pytest.mark.parametrize("in_use", [False, True])
def test_a_server_without_a_secret(in_use: bool) -> None:
    """PostgREST 12 to 16; recorded from its source."""
    error = refused(Refusal(500, "PGRST300", "server lacks jwt secret"), Caller(in_use=in_use))
    assert type(error) is StorageSetupError
    assert "PGRST_JWT_SECRET" in str(error)


@pytest.mark.parametrize("status", [400, 401])
def test_a_role_that_does_not_exist_is_no_fault_of_the_session(status: int) -> None:
    """PostgREST answers with 401 since 13, with 400 before; recorded from its source."""
    error = refused(Refusal(status, "22023", 'role "service_role" does not exist'), Caller("service_role"))
    assert type(error) is StorageSetupError
    assert "no role service_role" in str(error)


async def test_a_role_that_does_not_exist_on_the_stack(stack: SupabaseStack, client_of: Any) -> None:
    from pytest_mcp_storage.stacks.supabase.keys import sign

    token = sign(str(stack.jwt_secret), "nobody_at_all")
    async with backend_at(stack.url, str(stack.anon_key), Authorization=f"Bearer {token}") as backend:
        await fails(CALLS["init"], backend, StorageSetupError, "no role nobody_at_all")


async def test_supabase_py_builds_its_rest_client_anew_after_a_login_without_a_warning(
    stack: SupabaseStack, key: str
) -> None:
    """It warns about an argument that it uses itself, and warnings are errors in this run."""
    import warnings

    from supabase import acreate_client

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client = await acreate_client(stack.url, str(stack.service_role_key))
        backend = SupabaseStorageBackend(client, encryption_key=key)
        await backend.init()
        await client.postgrest.aclose()
        client._postgrest = None
        assert await backend.get_all_session_ids() == []
        await client.postgrest.aclose()
        await client.auth.close()
