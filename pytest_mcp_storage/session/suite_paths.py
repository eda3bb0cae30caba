"""Find the modules of the suite, and the arguments of pytest that name them. This loads nothing of the suite."""

from __future__ import annotations

import functools
import os
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HARNESS = "test_mcp_harness"
"""Judges the harness itself, and comes first: a fault in it shows in every other module."""
PREFIX = "test_mcp_"
"""How the names of the suite's modules begin."""
PACKAGE = "pytest_mcp_storage.suite"
SUITE = Path(__file__).parents[1] / "suite"


@functools.cache
def suite_modules() -> tuple[str, ...]:
    """Return the names of the suite's modules, without the package's."""
    found = pkgutil.iter_modules(import_module(PACKAGE).__path__)  # a zip file cannot be listed as a folder
    names = [module.name for module in found if module.name.startswith(PREFIX)]
    return tuple(sorted(names, key=lambda name: (name != HARNESS, name)))


def suite_files() -> list[str]:
    """Return the paths of the suite's modules."""
    return [str(SUITE / f"{name}.py") for name in suite_modules()]


def suite_id(argument: str, config: pytest.Config) -> str | None:
    """Return the node id in the suite that an argument of pytest names; ``None`` if it names something else.

    People paste ids from pytest's summary, which begin with a bare file name. Editors send the path of the file, and
    ``--pyargs`` takes the name of the module.
    """
    file, colons, rest = argument.partition("::")
    if config.option.pyargs and file.startswith(f"{PACKAGE}."):
        file = f"{file.removeprefix(f'{PACKAGE}.')}.py"
    path = config.invocation_params.dir / file
    if path.stem not in suite_modules() or path.suffix != ".py":
        return None
    if path.exists() and Path(os.path.realpath(path)).parent != Path(os.path.realpath(SUITE)):
        return None  # a file of the user's with the same name
    return f"{path.name}{colons}{rest}"


def is_of_the_suite(path: Path) -> bool:
    """Say whether a file is a module of the suite, which pytest must not collect as the user's own.

    The package may be below an argument: vendored, in a virtual environment, or behind a symbolic link.
    """
    return path.name.startswith(PREFIX) and path.parts[-3:-1] == ("pytest_mcp_storage", "suite")
