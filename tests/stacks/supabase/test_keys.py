"""A native stack with the keys of a current project."""

from __future__ import annotations

import json
import os

from pytest_mcp_storage.stacks.signing import sign
from pytest_mcp_storage.stacks.supabase import native
from pytest_mcp_storage.stacks.supabase.keys import KIND_VARIABLE
from tests.stacks.supabase.conftest import ROW, Rest, listed


def test_a_current_project_accepts_only_the_opaque_keys(rest: Rest) -> None:
    with native.start(environ={**os.environ, KIND_VARIABLE: "es256"}) as server:
        stack = server.store()
        assert (stack.anon_key, stack.service_role_key, stack.jwt_secret) == (None, None, None)
        rest(stack, "mcp_sessions", method="POST", key=stack.secret_key, json=ROW).raise_for_status()
        assert listed(rest(stack, "mcp_sessions", key=stack.secret_key)) == ["s1"]
        assert listed(rest(stack, "mcp_sessions", key=stack.publishable_key)) == []
        assert listed(rest(stack, "mcp_sessions", key=stack.publishable_key, user=stack.token("alice"))) == ["s1"]
        assert listed(rest(stack, "mcp_sessions", key=stack.publishable_key, user=stack.token("bob"))) == []
        legacy = sign(json.loads(str(stack.signing_key)), "service_role")
        assert rest(stack, "mcp_sessions", key=legacy).status_code == 401
        by_secret = sign("a secret of at least 32 characters, as before", "service_role")
        assert rest(stack, "mcp_sessions", key=stack.publishable_key, user=by_secret).status_code == 401
