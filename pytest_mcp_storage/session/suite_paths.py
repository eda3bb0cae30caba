"""Find the arguments of pytest that name modules of the suite. This loads none of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mcp_storage import suite
from pytest_mcp_storage.suite import PREFIX, suite_modules

if TYPE_CHECKING:
    import pytest


def suite_id(argument: str, config: pytest.Config) -> str | None:
    """Return the node id in the suite that an argument of pytest names; ``None`` if it names something else.

    People paste ids from pytest's summary, which begin with a bare file name. Editors send the path of the file, and
    ``--pyargs`` takes the name of the module.
    """
    file, colons, rest = argument.partition("::")
    if config.option.pyargs and file.startswith(f"{suite.__name__}."):
        file = f"{file.removeprefix(f'{suite.__name__}.')}.py"
    path = config.invocation_params.dir / file
    if path.stem not in suite_modules() or path.suffix != ".py":
        return None
    if path.exists() and Path(os.path.realpath(path)).parent != Path(os.path.realpath(Path(suite.__file__).parent)):
        return None  # a file of the user's with the same name
    return f"{path.name}{colons}{rest}"


def is_of_the_suite(path: Path) -> bool:
    """Say whether a file is a module of the suite, which pytest must not collect as the user's own.

    The package may be below an argument: vendored, in a virtual environment, or behind a symbolic link.
    """
    return path.name.startswith(PREFIX) and path.parts[-3:-1] == ("pytest_mcp_storage", "suite")
