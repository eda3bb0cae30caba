"""Read the constants of a store's source: the store may behave differently at a number or text that it names.

Random values rarely have the one length, count or word that a condition compares with; the source names it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mcp_storage.engine.source_files import OURS, modules_of, project_files

if TYPE_CHECKING:
    from pytest_mcp_storage.spec.harness import BackendHarness

LONGEST_TEXT = 60
"""Characters; longer texts are messages or statements, and hold no value of a session."""
MOST_WORDS = 3
"""The same, in words."""
MOST_TEXTS = 300
MOST_NUMBERS = 100
PAST_A_PAGE = 100
"""Sessions on the last page."""


@dataclass(frozen=True)
class SourceConstants:
    """The texts and numbers that a store's source names, each once, in the order of the source."""

    texts: tuple[str, ...] = ()
    numbers: tuple[int | float, ...] = ()

    def around(self, least: int, most: int) -> list[int]:
        """Return n - 1, n and n + 1 for each whole number n of the source, those from ``least`` to ``most``."""
        near = {int(each) + step for each in self.numbers if each == int(each) for step in (-1, 0, 1)}
        return sorted(each for each in near if least <= each <= most)

    def past_each_page(self, least: int, most: int) -> int:
        """Return a count of sessions that is past each number of the source, which may be a page's size."""
        return min(most, max([least, *(each + PAST_A_PAGE for each in self.around(1, most))]))


def constants_of(harness: BackendHarness, backend_type: type) -> SourceConstants:
    """Return the constants of the store behind a harness and its backends."""
    trees: list[ast.AST] = [ast.parse(file.read_bytes()) for file in project_files(modules_of(harness, backend_type))]
    trees += [_source_of(each) for each in backend_type.__mro__ if each.__module__.partition(".")[0] == OURS]
    return constants_in(trees)


def constants_in(trees: Iterable[ast.AST]) -> SourceConstants:
    """Return the constants of some syntax trees: literals, the text parts of format strings, and bytes as text."""
    texts: dict[str, None] = {}
    numbers: dict[int | float, None] = {}
    for tree in trees:
        for value in _literals(tree):
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            if isinstance(value, str):
                if value and len(value) <= LONGEST_TEXT and len(value.split()) <= MOST_WORDS and "\0" not in value:
                    texts[value] = None
            elif not isinstance(value, bool):
                numbers[abs(value)] = None
    usable = [each for each in texts if not any("\ud800" <= sign <= "\udfff" for sign in each)]
    return SourceConstants(tuple(usable[:MOST_TEXTS]), tuple(numbers)[:MOST_NUMBERS])


def _literals(tree: ast.AST) -> Iterator[str | bytes | int | float]:
    skipped = {id(node) for parent in ast.walk(tree) for node in _not_values(parent)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        folded = _folded(node)
        if isinstance(folded, (str, bytes, int, float)):
            yield folded


def _not_values(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are not values of a program: docstrings, annotations, the names of ``__all__``."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        if part is not None:
            yield from ast.walk(part)


def _folded(node: ast.AST) -> object:
    """Return the value of a literal, and of sums and products of numbers: ``32 * 1024``; ``None`` for anything else."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Add, ast.Sub, ast.Pow, ast.LShift)):
        left, right = _folded(node.left), _folded(node.right)
        if isinstance(left, int) and isinstance(right, int) and abs(left) < 2**62 and 0 <= right < 2**20:
            return _computed(node.op, left, right)
    return None


def _computed(op: ast.operator, left: int, right: int) -> int | None:
    if isinstance(op, ast.Pow | ast.LShift) and right > 60:
        return None
    if isinstance(op, ast.Mult):
        return left * right
    if isinstance(op, ast.Add):
        return left + right
    if isinstance(op, ast.Sub):
        return left - right
    return left << right if isinstance(op, ast.LShift) else int(left**right)


def _source_of(kind: type) -> ast.AST:
    """Return the syntax tree of a class of ours, such as a mutant of the zoo: its module holds others too."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return ast.Module(body=[], type_ignores=[])
