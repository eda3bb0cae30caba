"""Load the object that ``module:attribute`` names, or raise one clear error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_mcp_storage.spec.tracebacks import without_import_system


class BackendNameError(ValueError):
    """A backend's name cannot be resolved; the message says why, and what to write instead."""


def load(path: str, *folders: Path) -> Any:
    """Return the object that ``module:attribute`` names. ``folders``: modules there can be imported too.

    Raise :class:`BackendNameError`.
    """
    module_name, _, attribute = path.partition(":")
    if not (attribute and all(part.isidentifier() for part in module_name.split("."))):
        raise BackendNameError(f"backend {path!r} is no module:attribute, such as mypackage.storage:MyHarness")
    sys.path += [str(folder) for folder in folders if str(folder) not in sys.path]
    target: Any = _imported(path, module_name, folders)
    for part in attribute.split("."):
        if not hasattr(target, part):
            near = _meant(target, part)
            raise BackendNameError(f"{path}: module {module_name!r} has no attribute {attribute!r}{near}")
        target = getattr(target, part)
    return target


def _meant(holder: object, name: str) -> str:
    near = get_close_matches(name, [each for each in dir(holder) if not each.startswith("_")], n=1)
    return f"; is {near[0]!r} meant?" if near else ""


def _imported(path: str, module: str, folders: Sequence[Path]) -> ModuleType:
    """Return the module. Raise :class:`BackendNameError`, also if it ends the process or skips itself."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        places = " and in ".join(["among what is installed", *map(str, folders)])
        looked = f"; looked for {places}" if error.name in _parents(module) else ""
        message = f"backend {path!r} can't be loaded: {error}{looked}\n{_traceback(error)}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = f"backend {path!r} can't be loaded: {type(error).__name__}: {error}\n{_traceback(error)}"
    raise BackendNameError(message.rstrip())


def _parents(module: str) -> list[str]:
    """Return the module's name, and those of its packages."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _traceback(error: BaseException) -> str:
    """Return the traceback from the module's own code on; empty if that code is never reached."""
    ours = (__file__, import_module.__code__.co_filename)
    frames = without_import_system(traceback.extract_tb(error.__traceback__))
    rest = [each for each in frames if each.filename not in ours]
    if not rest and not isinstance(error, SyntaxError):
        return ""
    summary = traceback.TracebackException.from_exception(error)
    summary.stack = traceback.StackSummary.from_list(rest)
    return "".join(summary.format())
