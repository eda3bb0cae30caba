"""The providers of a Supabase stack, and the choice between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Literal

from pytest_mcp_storage.stacks.supabase.stack import Say, StackServer
from reference_backends.core.errors import ConfigurationError, StorageSetupError

STARTED = ("native", "docker", "cli")
PROVIDERS = ("url", *STARTED)
"""The providers, in the order in which ``auto`` tries them."""

Choice = Literal["auto", "url", "native", "docker", "cli"]


def start_stack(
    choice: Choice = "auto", *, environ: Mapping[str, str] | None = None, say: Say = lambda text: None
) -> StackServer:
    """Find or start a stack: ``choice`` names a provider, ``auto`` takes the first that works.

    The order is ``url`` (only if ``SUPABASE_URL`` is set, and then no other), ``native``, ``docker``, ``cli``.
    ``say`` gets lines that report progress.

    Raises :class:`ConfigurationError`, :class:`StorageSetupError` or :class:`StorageUnavailableError`, each with a
    remedy; with ``auto`` a :class:`StorageSetupError` that says what each provider lacks.
    """
    environ = os.environ if environ is None else environ
    if choice == "auto" and environ.get("SUPABASE_URL"):
        choice = "url"
    if choice != "auto":
        return _start(choice, environ, say)
    lacking = []
    for provider in STARTED:
        try:
            return _start(provider, environ, say)
        except StorageSetupError as error:
            lacking.append(f"{provider}: {error}")
            say(f"Supabase stack: {provider} can't be used: {error}")
    raise StorageSetupError("no Supabase stack can be started.\n  " + "\n  ".join(lacking))


def _start(provider: str, environ: Mapping[str, str], say: Say) -> StackServer:
    if provider not in PROVIDERS:
        raise ConfigurationError(f"there is no Supabase provider {provider!r}: choose from {', '.join(PROVIDERS)}")
    if provider != "url" and sys.platform == "win32":
        raise StorageSetupError("a stack can't be started on Windows; use a project that is up: --mcp-supabase=url")
    return _starter(provider)(environ=environ, say=say)


def _starter(provider: str) -> Callable[..., StackServer]:
    """Load the provider's module. A run does not import the others."""
    match provider:
        case "url":
            from pytest_mcp_storage.stacks.supabase.given_project import start as start_url

            return start_url
        case "native":
            from pytest_mcp_storage.stacks.supabase.native import start as start_native

            return start_native
        case "docker":
            from pytest_mcp_storage.stacks.supabase.docker import start as start_docker

            return start_docker
        case _:
            from pytest_mcp_storage.stacks.supabase.supabase_cli import start as start_cli

            return start_cli
