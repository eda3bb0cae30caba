"""The options that a bundled harness passes to its backend: those that were given, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_backends import Clock
    from reference_backends.core.base import BackendOptions


def backend_options(
    encryption_key: str | Sequence[str] | None, clock: Clock | None, default_ttl: float | None
) -> BackendOptions:
    """Return the keyword arguments of a bundled backend, without those that are ``None``."""
    options: BackendOptions = {"encryption_key": encryption_key}
    if clock is not None:
        options["clock"] = clock
    if default_ttl is not None:
        options["default_ttl"] = default_ttl
    return options
