"""The library uses no private attribute of a dependency: any release may change those without notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import reference_backends

FOLDER = Path(reference_backends.__file__).parent
LOOKING = ("getattr", "setattr", "hasattr", "delattr")
DOCUMENTED = ("_asdict", "_fields", "_make", "_replace")
"""Public members of every named tuple."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield every name that the module defines: functions, classes, variables, attributes of ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every private name that is read from an object or imported from another package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in LOOKING:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and is_private(name.value):
                yield node.lineno, name.value
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("reference_backends"):
            path = [*(node.module or "").split("."), *(each.name for each in node.names)]
            yield from ((node.lineno, part) for part in path if is_private(part))


def foreign(sources: dict[str, str]) -> list[str]:
    trees = {name: ast.parse(source) for name, source in sources.items()}
    ours = {name for tree in trees.values() for name in defined(tree)}
    return [
        f"{name}:{line}: {attribute}"
        for name, tree in trees.items()
        for line, attribute in used(tree)
        if attribute not in ours
    ]


def test_the_library_uses_none() -> None:
    sources = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    assert len(sources) > 20
    assert foreign(sources) == []


@pytest.mark.parametrize(
    "line",
    ["client._writer.close()", 'getattr(client, "_writer", None)', "from redis._parsers import Encoder",
     "from redis import _x", "self._session.post()"],
)  # fmt: skip
def test_one_would_be_found(line: str) -> None:
    assert foreign({"m.py": f"import redis\nself._own = 1\nself._own.x\n{line}\n"})[0].startswith("m.py:4: _")
