"""Users' tokens that are signed with private keys, as in current projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from pytest_mcp_storage.stacks.signing import PRIVATE, new_jwk, private_jwk, public_jwks, sign
from pytest_mcp_storage.stacks.supabase import supabase_cli
from pytest_mcp_storage.stacks.supabase.keys import ProjectKeys, key_kind
from reference_backends.core.errors import ConfigurationError

Jwk = dict[str, Any]


def new_rsa_jwk() -> Jwk:
    made: Jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), as_dict=True)
    return {**made, "kid": "mine"}


def verified(token: str, key: Jwk) -> dict[str, Any]:
    """Return the claims, verified with only the public part."""
    (public,) = json.loads(public_jwks(key))["keys"]
    claims: dict[str, Any] = jwt.decode(token, jwt.PyJWK(public).key, [public["alg"]], audience="authenticated")
    return claims


@pytest.mark.parametrize(("make", "algorithm"), [(new_jwk, "ES256"), (new_rsa_jwk, "RS256")])
def test_a_token_names_its_key_and_is_verified_by_the_public_part(make: Any, algorithm: str) -> None:
    key = make()
    token = sign(key, "authenticated", subject="no uuid", lifetime=60)
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": key["kid"], "typ": "JWT"}
    assert verified(token, key)["sub"] == "no uuid"


def test_nothing_private_is_published() -> None:
    for key in (new_jwk(), new_rsa_jwk()):
        (public,) = json.loads(public_jwks(key))["keys"]
        assert not PRIVATE & set(public)
        assert public["key_ops"] == ["verify"]


@pytest.mark.parametrize("form", ["one", "list", "set", "after another", "file"])
def test_a_key_is_taken_in_each_form_that_supabase_prints(form: str, tmp_path: Path) -> None:
    key = new_jwk()
    public = json.loads(public_jwks(key))["keys"][0]
    text = json.dumps(
        {"one": key, "list": [key], "set": {"keys": [key]}, "after another": [public, key]}.get(form, key)
    )
    if form == "file":
        (tmp_path / "signing_keys.json").write_text(f"[{text}]")
        text = str(tmp_path / "signing_keys.json")
    assert private_jwk(text) == key


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '"text"', "/nowhere/keys.json", "a\0b", '{"kty": "oct", "k": "c2VjcmV0"}', "[null, 1]"]
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_JWT_SIGNING_KEY"):
        private_jwk(text)


def test_a_damaged_key_is_refused_and_not_shown() -> None:
    damaged = {**new_jwk(), "d": "AAAA", "crv": "P-256"}
    damaged["x"] = damaged["y"]
    with pytest.raises(ConfigurationError, match="can't sign") as refusal:
        private_jwk(json.dumps(damaged))
    assert damaged["y"] not in str(refusal.value)
    assert refusal.value.__context__ is None


def test_a_public_key_alone_signs_nothing() -> None:
    with pytest.raises(ConfigurationError, match="no private key"):
        private_jwk(public_jwks(new_jwk()))


def test_the_kind_of_keys_is_one_of_two() -> None:
    assert (key_kind({}), key_kind({"MCP_STORAGE_SUPABASE_KEYS": "es256"})) == ("hs256", "es256")
    with pytest.raises(ConfigurationError, match="MCP_STORAGE_SUPABASE_KEYS"):
        key_kind({"MCP_STORAGE_SUPABASE_KEYS": "rs256"})


def test_a_current_project_has_no_legacy_keys() -> None:
    keys = ProjectKeys.generate("es256")
    attributes = keys.as_attributes()
    assert {name for name, value in attributes.items() if value is None} == {
        "anon_key",
        "service_role_key",
        "jwt_secret",
    }
    assert set(keys.accepted) == {keys.publishable, keys.secret}
    assert json.loads(str(attributes["signing_key"]))["d"] not in keys.verifier


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.toml", '[auth]\nsigning_keys_path = "./signing_keys.json"\n'),
        ("config.json", '{"auth": {"signing_keys_path": "signing_keys.json"}}'),
    ],
)
def test_the_key_of_a_project_of_the_command_line_is_found(tmp_path: Path, name: str, text: str) -> None:
    key = new_jwk()
    (tmp_path / "signing_keys.json").write_text(json.dumps([key]))
    (tmp_path / name).write_text(text)
    assert json.loads(str(supabase_cli.signing_key(tmp_path / name))) == key


@pytest.mark.parametrize("text", ["", "[auth]\n", '[auth]\nsigning_keys_path = ""\n', "auth = 1", "no toml"])
def test_a_project_without_a_signing_key_signs_with_its_secret(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    assert supabase_cli.signing_key(tmp_path / "config.toml") is None
