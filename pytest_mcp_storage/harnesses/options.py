"""What a bundled harness passes on to its backend: the options that were given, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_backends import Clock
    from reference_backends.handle import HandleOptions


def given(encryption_key: str | Sequence[str] | None, clock: Clock | None, default_ttl: float | None) -> HandleOptions:
    """The keyword arguments of a bundled backend; ``None`` leaves its own default."""
    options: HandleOptions = {"encryption_key": encryption_key}
    if clock is not None:
        options["clock"] = clock
    if default_ttl is not None:
        options["default_ttl"] = default_ttl
    return options
