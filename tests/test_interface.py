"""The public names, typed out: what downstream repositories write must not change by accident.

Nothing here is taken from the code under test, so that a renaming sweep can't carry the test along.
"""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints
from unittest.mock import Mock

import pytest

import pytest_mcp_storage
import reference_backends
from pytest_mcp_storage import BackendHarness, Capability, Level, NotMeasurable, Outcome, load_clauses
from pytest_mcp_storage.session import backends, options
from reference_backends import SessionData, SessionUpdate, StorageBackend

LIBRARY = [
    "BackendOptions",
    "BaseBackend",
    "Clock",
    "ConfigurationError",
    "DecryptionError",
    "FileStorageBackend",
    "InvalidSessionError",
    "Keyring",
    "MemoryStorageBackend",
    "RedisStorageBackend",
    "SessionData",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionUpdate",
    "SqliteStorageBackend",
    "StorageBackend",
    "StorageError",
    "StorageSetupError",
    "StorageUnavailableError",
    "SupabaseStorageBackend",
    "check_changes",
    "check_identity",
    "check_names",
    "check_session",
    "check_ttl",
    "create_storage",
    "create_supabase_storage_backend",
    "storage",
]

PLUGIN = [
    "BackendHarness",
    "Capability",
    "Clause",
    "Judgement",
    "Level",
    "NotConformantError",
    "NotMeasurable",
    "Outcome",
    "judge",
    "judge_sync",
    "load_clauses",
]

FIELDS = {
    "session_id": "sessionId",
    "identity": "identity",
    "server_id": "serverId",
    "server_name": "serverName",
    "server_url": "serverUrl",
    "transport_type": "transportType",
    "callback_url": "callbackUrl",
    "created_at": "createdAt",
    "headers": "headers",
    "active": "active",
    "client_information": "clientInformation",
    "tokens": "tokens",
    "code_verifier": "codeVerifier",
    "client_id": "clientId",
}

METHODS = {
    "init": [],
    "generate_session_id": [],
    "create_session": ["session", "ttl"],
    "update_session": ["identity", "session_id", "changes", "ttl"],
    "get_session": ["identity", "session_id"],
    "get_identity_sessions_data": ["identity"],
    "get_identity_mcp_sessions": ["identity"],
    "remove_session": ["identity", "session_id"],
    "get_all_session_ids": [],
    "clear_all": [],
    "cleanup_expired_sessions": [],
    "disconnect": [],
}

ERRORS: dict[str, tuple[type[Exception], ...]] = {
    "InvalidSessionError": (ValueError,),
    "SessionExistsError": (),
    "SessionNotFoundError": (LookupError,),
    "DecryptionError": (),
    "StorageUnavailableError": (),
    "StorageSetupError": (),
    "ConfigurationError": (ValueError,),
}

HARNESS = {
    "open": ["encryption_key", "clock", "default_ttl"],
    "stored_bytes": [],
    "stored_fields": ["identity", "session_id"],
    "replace_stored_field": ["identity", "session_id", "field", "value"],
    "outage": [],
    "lost_answer": [],
    "unprepared": ["how"],
    "files": [],
    "locator": [],
    "attach": ["locator"],
    "open_as": ["user"],
    "write_row_as": ["user", "session", "owner"],
}
AWAITED = {"open", "stored_bytes", "stored_fields", "replace_stored_field", "open_as", "write_row_as"}

OPTIONS = [
    "--mcp-backend",
    "--mcp-tier",
    "--mcp-clause",
    "--mcp-revision",
    "--mcp-deviations",
    "--mcp-strict",
    "--mcp-report",
    "--mcp-repro",
    "--mcp-allow-destructive",
    "--mcp-no-coverage",
    "--mcp-workers",
    "--mcp-supabase",
]


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


@pytest.mark.parametrize(("package", "names"), [(reference_backends, LIBRARY), (pytest_mcp_storage, PLUGIN)])
def test_the_packages_names(package: Any, names: list[str]) -> None:
    assert sorted(package.__all__) == sorted(names)
    for name in names:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="Nothing"):
        _ = package.Nothing
    assert files(package.__name__).joinpath("py.typed").is_file()


def test_what_the_distribution_registers() -> None:
    points = {(each.group, each.name): each.value for each in distribution("pytest-mcp-storage").entry_points}
    assert points["pytest11", "mcp_storage"] == "pytest_mcp_storage.plugin"
    assert points["console_scripts", "mcp-storage"] == "pytest_mcp_storage.cli:main"


# -- the library -----------------------------------------------------------------------------------------------------


def test_the_fields_of_a_session() -> None:
    assert {name: field.alias for name, field in SessionData.model_fields.items()} == FIELDS
    optional = [name for name, field in SessionData.model_fields.items() if not field.is_required()]
    assert optional == ["server_id", "server_name", "headers", "active", "client_information", "tokens",
                        "code_verifier", "client_id"]  # fmt: skip
    assert set(SessionUpdate.__annotations__) == set(FIELDS) - {"session_id", "identity"}
    assert not SessionUpdate.__required_keys__


def test_the_methods_of_a_store() -> None:
    found = {name: method for name, method in vars(StorageBackend).items() if not name.startswith("_")}
    assert {name: parameters(method) for name, method in found.items()} == METHODS
    plain = [name for name, method in found.items() if not inspect.iscoroutinefunction(method)]
    assert plain == ["generate_session_id"]
    for name in ("create_session", "update_session"):
        assert inspect.signature(found[name]).parameters["ttl"].default is None


@pytest.mark.parametrize("name", ERRORS)
def test_the_families_of_errors(name: str) -> None:
    error = getattr(reference_backends, name)
    assert issubclass(error, reference_backends.StorageError)
    for family in (ValueError, LookupError):
        assert issubclass(error, family) is (family in ERRORS[name])
    assert str(error("what to do")) == "what to do"


def test_a_decryption_error_names_the_session() -> None:
    assert reference_backends.DecryptionError("m", session_id="s").session_id == "s"
    assert reference_backends.DecryptionError("m").session_id is None


@pytest.mark.parametrize("name", ["Memory", "File", "Sqlite", "Redis", "Supabase"])
def test_what_every_store_takes_by_keyword(name: str) -> None:
    store = getattr(reference_backends, f"{name}StorageBackend")
    first = {"Memory": [], "File": ["path"], "Sqlite": ["path"]}.get(name, ["client"])
    signature = inspect.signature(store)
    assert [each for each, given in signature.parameters.items() if given.kind is given.POSITIONAL_OR_KEYWORD] == first
    by_keyword = set(get_type_hints(reference_backends.core.base.BackendOptions))
    assert by_keyword == {"encryption_key", "default_ttl", "clock"}
    if name in ("Memory", "File", "Sqlite"):
        made = store(
            *["somewhere"] * len(first), encryption_key=["ab" * 32, "cd" * 32], default_ttl=60, clock=lambda: 0
        )
        assert isinstance(made, StorageBackend)


def test_what_authors_of_stores_use() -> None:
    checks = {name: parameters(getattr(reference_backends, name)) for name in LIBRARY if name.startswith("check_")}
    assert checks == {
        "check_changes": ["changes"],
        "check_identity": ["identity"],
        "check_names": ["identity", "session_id"],
        "check_session": ["session"],
        "check_ttl": ["ttl"],
    }
    signature = inspect.signature(reference_backends.BaseBackend)
    by_keyword = {name for name, given in signature.parameters.items() if given.kind is given.KEYWORD_ONLY}
    assert by_keyword == set(signature.parameters)
    assert by_keyword >= set(get_type_hints(reference_backends.BackendOptions))
    assert issubclass(reference_backends.BaseBackend, StorageBackend)


def test_the_remaining_doors_of_the_library() -> None:
    assert parameters(reference_backends.Keyring) == ["keys"]
    assert parameters(reference_backends.Keyring.seal) == ["value"]
    assert parameters(reference_backends.Keyring.open) == ["text"]
    assert inspect.iscoroutinefunction(reference_backends.create_storage)
    assert parameters(reference_backends.create_storage) == ["environ"]
    assert not inspect.iscoroutinefunction(reference_backends.create_supabase_storage_backend)
    assert parameters(reference_backends.create_supabase_storage_backend)[0] == "client"
    assert isinstance(reference_backends.storage, StorageBackend)


# -- the plugin ------------------------------------------------------------------------------------------------------


def test_the_enumerations() -> None:
    assert [each.name for each in Capability] == (
        [
            "KEY",
            "DURABLE",
            "SHARED",
            "CLOCK",
            "AT_REST",
            "OUTAGE",
            "LOST_ANSWER",
            "FAIL_STEP",
            "SETUP",
            "FILES",
            "CRASH",
            "ROW_SECURITY",
            "DEFAULT_TTL",
        ]
    )
    assert {each.name: each.value for each in Outcome} == {
        "PASSED": "passed",
        "FAILED": "failed",
        "DEVIATION": "deviation",
        "NOT_APPLICABLE": "not_applicable",
        "NOT_MEASURED": "not_measured",
    }
    assert [each.value for each in Level] == ["MUST", "SHOULD"]
    assert load_clauses() == load_clauses(revision="2026-11")


def test_what_an_author_subclasses() -> None:
    for name, expected in HARNESS.items():
        method = getattr(BackendHarness, name)
        assert parameters(method) == expected, name
        assert inspect.iscoroutinefunction(method) is (name in AWAITED), name
    given = inspect.signature(BackendHarness.open).parameters
    assert all(given[name].kind is inspect.Parameter.KEYWORD_ONLY and given[name].default is None for name in
               HARNESS["open"])  # fmt: skip
    assert isinstance(inspect.getattr_static(BackendHarness, "attach"), classmethod)
    assert BackendHarness.capabilities == frozenset()
    assert (BackendHarness.dedicated, BackendHarness.time_limit) == (True, 10.0)
    assert NotMeasurable("no server").reason == "no server"


def test_the_options_and_ini_values() -> None:
    parser = Mock()
    options.register(parser)
    assert [call.args[0] for call in parser.getgroup.return_value.addoption.call_args_list] == OPTIONS
    assert "mcp_backends" in [call.args[0] for call in parser.addini.call_args_list]


def test_the_names_of_backends() -> None:
    assert sorted(backends.BUNDLED) == ["file", "memory", "redis", "sqlite", "supabase"]
    assert sorted(backends.SCHEMES) == ["key-value", "mcp-ts", "stdio"]
    assert backends.GROUP == "pytest_mcp_storage.backends"


def test_the_example_registers_where_the_plugin_looks() -> None:
    """A user copies it."""
    written = Path(__file__).parents[1].joinpath("examples/diskcache_store/pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."pytest_mcp_storage.backends"]' in written


def test_each_attribute_of_a_harness_is_documented() -> None:
    (harness,) = [
        each
        for each in ast.parse(inspect.getsource(import_module(BackendHarness.__module__))).body
        if isinstance(each, ast.ClassDef) and each.name == "BackendHarness"
    ]
    bare = [
        one.target.id
        for one, following in pairwise(harness.body)
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
    assert bare == []
