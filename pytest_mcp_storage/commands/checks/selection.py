"""Which store an environment chooses, and whether its sessions are encrypted."""

from __future__ import annotations

from pytest_mcp_storage.commands.checks.finding import Finding
from pytest_mcp_storage.stacks.supabase.stack import VARIABLES
from reference_backends.core.errors import ConfigurationError
from reference_backends.core.keyring import Keyring
from reference_backends.core.settings import KNOWN, Settings
from reference_backends.selection.factory import first_choice

KEY = "STORAGE_ENCRYPTION_KEY"
STORES = {
    "redis": ("REDIS_URL",),
    "file": ("MCP_TS_STORAGE_FILE",),
    "sqlite": ("MCP_TS_STORAGE_SQLITE_PATH",),
    "supabase": ("SUPABASE_URL",),
}
"""Store -> the variables that choose it if ``MCP_TS_STORAGE_TYPE`` is not set."""


def chosen(settings: Settings) -> str | None:
    """Return the name of the store that the environment chooses; ``None`` if it can't be used."""
    try:
        return first_choice(settings)
    except ConfigurationError:
        return None


def has_key(settings: Settings) -> bool:
    """Return whether a valid encryption key is set."""
    return KEY in settings and _key_problem(settings) is None


def check(settings: Settings) -> list[Finding]:
    """Check the variables."""
    return [*_names(settings), *_choice(settings), _key(settings)]


def _names(settings: Settings) -> list[Finding]:
    try:
        settings.check_names()
    except ConfigurationError as error:
        return [Finding("environment.names", "error", str(error), "correct the name, or unset the variable")]
    if chosen(settings) == "memory" and (clues := _without_stack(settings).hints().removeprefix("; ")):
        return [Finding("environment.names", "warning", clues, "set the variable that is read, or unset the others")]
    return []


def _without_stack(settings: Settings) -> Settings:
    """Return the variables without those that only a local stack, the suite and this command read."""
    return Settings({name: settings.raw(name) for name in settings if name in KNOWN or name not in VARIABLES})


def _choice(settings: Settings) -> list[Finding]:
    try:
        store = first_choice(settings)
    except ConfigurationError as error:
        return [Finding("environment.store", "error", str(error))]
    explicit = settings.store_type == store
    others = [name for one, names in STORES.items() if one != store for name in names if name in settings]
    if store == "memory":
        return [
            Finding(
                "environment.store",
                "warning",
                "the store is memory, "
                + ("because MCP_TS_STORAGE_TYPE says so" if explicit else "because no variable names another")
                + ": all sessions are lost when the process ends",
                "set REDIS_URL, SUPABASE_URL, MCP_TS_STORAGE_SQLITE_PATH or MCP_TS_STORAGE_FILE",
            )
        ]
    why = "MCP_TS_STORAGE_TYPE" if explicit else ", ".join(STORES[store])
    found = [Finding("environment.store", "ok", f"the store is {store}, because {why} is set")]
    if others and not explicit:
        found.append(
            Finding(
                "environment.ambiguous",
                "warning",
                f"{', '.join(others)} is also set, and is not used",
                f"unset it, or set MCP_TS_STORAGE_TYPE={store}",
            )
        )
    return found


def _key(settings: Settings) -> Finding:
    if problem := _key_problem(settings):
        return Finding("encryption.key", "error", problem, "make a key with: mcp-storage key")
    if KEY in settings:
        return Finding("encryption.key", "ok", "tokens and headers are encrypted")
    return Finding(
        "encryption.key",
        "warning",
        f"{KEY} is not set: tokens and headers are stored in clear",
        f"set {KEY} to a key from `mcp-storage key`, then run: mcp-storage reseal",
    )


def _key_problem(settings: Settings) -> str | None:
    if KEY not in settings:
        return None
    try:
        Keyring([key.strip() for key in settings.text(KEY).split(",")])
    except ConfigurationError as error:
        return str(error)
    return None
