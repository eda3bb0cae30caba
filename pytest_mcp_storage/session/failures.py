"""Failing examples in pytest's cache: the next run replays them first, whatever its seed is.

``--cache-clear`` forgets them, as all that pytest keeps there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from pytest_mcp_storage.session.options import Options
from pytest_mcp_storage.spec.outcome import Measurement, Outcome

KEY = "mcp-storage/failures"

Known = dict[str, dict[str, Any]]
"""By :func:`name_of`: the seed of the failing run, and the measurement if a replay has confirmed it; JSON."""


def name_of(backend: str, test: str) -> str:
    """Return the name under which a failure is kept."""
    return f"{backend}::{test}"


def known(config: pytest.Config) -> Known:
    """Return the failures of earlier runs; none without pytest's cache."""
    cache = getattr(config, "cache", None)
    found = cache.get(KEY, {}) if cache is not None else {}
    return found if isinstance(found, dict) else {}


def keep(config: pytest.Config, measured: Mapping[str, Iterable[Measurement]], options: Options) -> None:
    """Keep the failures of this run, and forget those of tests that passed."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    found = known(config)
    for backend, measurements in measured.items():
        for each in measurements:
            name = name_of(backend, each.test)
            if each.outcome is Outcome.FAILED:
                seed = each.seed if each.seed is not None else options.seed
                found[name] = {"seed": seed, "measurement": each.to_json() if each.scenario else None}
            elif each.outcome is Outcome.PASSED:
                found.pop(name, None)
    cache.set(KEY, found)
