"""Find the source files of a store: its own modules, and what they import from the same project."""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType

from pytest_mcp_storage.spec.harness import BackendHarness

OURS = "pytest_mcp_storage"
"""The suite's own package: its harnesses are not the store."""
INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib"))


def modules_of(harness: BackendHarness, backend_type: type) -> list[str]:
    """Return the modules that hold the store under judgement: its classes, and the harness or factory of its author."""
    classes = [each for each in type(harness).__mro__ if issubclass(each, BackendHarness)]
    made_by = getattr(harness, "make", None)
    own = [each for each in backend_type.__mro__ if each is not object]
    top = backend_type.__module__.partition(".")[0]
    backends = [each for each in own if each.__module__.partition(".")[0] in (top, "__main__")]
    named = [*backends, *classes, *([made_by] if made_by is not None else [])]
    return list(dict.fromkeys(module for each in named if (module := getattr(each, "__module__", ""))))


def project_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of the named modules, and then of the modules that they import from the same project.

    Same project: the same top-level package, or, for modules that are not installed, the same folder.
    Modules of the suite itself are left out.
    """
    waiting = [name for name in modules if name.partition(".")[0] != OURS]
    roots = {root for name in waiting if (root := _root(sys.modules.get(name)))}
    tops = {name.partition(".")[0] for name in waiting}
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop(0)
        module = sys.modules.get(name)
        file = source_file(module)
        if module is None or file is None or name in found:
            continue
        found[name] = file
        waiting += [each for each in _imports(module, file) if _belongs(each, tops, roots)]
    return list(dict.fromkeys(found.values()))


def source_file(module: ModuleType | None) -> Path | None:
    """Return the file that holds the module's source; ``None`` if there is none."""
    name = getattr(module, "__file__", None)
    file = Path(name).resolve() if name and name.endswith(".py") else None
    return file if file and file.is_file() else None


def _root(module: ModuleType | None) -> Path | None:
    """Return the folder that the module's project is imported from; ``None`` for an installed one."""
    file = source_file(module)
    if module is None or file is None:
        return None
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    root = file.parents[depth]
    return None if any(root.is_relative_to(folder) for folder in INSTALLED) else root


def _belongs(name: str, tops: set[str], roots: set[Path]) -> bool:
    top = name.partition(".")[0]
    if top == OURS:
        return False
    return top in tops or _root(sys.modules.get(name)) in roots


def _imports(module: ModuleType, file: Path) -> Iterator[str]:
    """Yield the names of the loaded modules that a module's source imports, in functions too."""
    package = module.__name__ if file.name == "__init__.py" else module.__name__.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in sys.modules)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield from (
                name for name in (base, *(f"{base}.{alias.name}" for alias in node.names)) if name in sys.modules
            )
