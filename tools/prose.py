"""Check the prose of the repository: docstrings, comments, messages, and documents.

``python tools/prose.py`` prints each word of the list with its place and exits with 1 if there is one.
``python tools/prose.py --count`` prints, for each folder, how many there are in 1,000 words.

No linter from a registry reads Python strings and comments as prose with a word list of ours: so this short script.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("reference_backends", "pytest_mcp_storage", "tests", "benchmarks", "mutation", "examples", "docs", "tools")
SKIPPED = {".venv", "build", "node_modules", "site", "__pycache__"}
LEFT_OUT = {"tools/prose.py"}
"""This file holds the words."""
IGNORE = "prose: ignore"
"""A line with this comment is not checked: it holds data, not prose."""

WORDS = {
    r"lies|lay|lain": "is, is stored",
    r"stands?(?!-(?:in|alone))|stood": "is written, is",
    r"mend(s|ed|ing)?": "fix",
    r"beside": "next to, in addition to",
    r"whoever|whosoever": "a person who, if someone",
    r"wholly": "completely",
    r"shall|ought": "must, should",
    r"hence|thereof|thereby|herein|upon": "so, of it, on",
    r"cling(s|ing)?|heed(s|ed|ing)?|hunt(s|ed|ing|er)?": "keep, obey, search or run",
    r"houses?": "module, mutants",
    r"tells?|told": "reports, says",
    r"spare(s|d)?": "passed",
    r"lets? go of": "release",
    r"at work|under way": "running",
    r"so many": "a number, this many",
    r"no word": "nothing was written",
    r"of (its|their) own": "own, separate",
}
PATTERN = re.compile(r"\b(?:" + "|".join(f"(?:{words})" for words in WORDS) + r")\b", re.IGNORECASE)


def python_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each comment, docstring and message of a Python file."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            ignored = any(IGNORE in line for line in lines[node.lineno - 1 : node.end_lineno])
            for number, line in enumerate(node.value.splitlines(), node.lineno):
                if not ignored:
                    yield min(number, node.end_lineno or number), line


def document_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a document, less its fenced blocks."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and IGNORE not in line:
            yield number, line


def files() -> Iterator[Path]:
    """Yield the files that hold prose, in order."""
    found = [
        path
        for folder in CODE
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".yaml", ".jinja"}
    ]
    for path in sorted([*ROOT.glob("*.md"), *found]):
        relative = path.relative_to(ROOT)
        if not SKIPPED & set(relative.parts) and relative.as_posix() not in LEFT_OUT:
            yield path


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the prose of a file."""
    source = path.read_text(encoding="utf-8")
    return python_prose(source) if path.suffix == ".py" else document_prose(source)


def advice(word: str) -> str:
    """Return what to write instead of ``word``."""
    return next(text for words, text in WORDS.items() if re.fullmatch(words, word, re.IGNORECASE))


def count() -> None:
    """Print the words of the list in 1,000 words of prose, for each folder and document."""
    words: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for path in files():
        relative = path.relative_to(ROOT)
        folder = relative.as_posix() if path.suffix == ".md" else relative.parent.as_posix()
        for _, text in prose_of(path):
            words[folder] += len(text.split())
            found[folder] += len(PATTERN.findall(text))
    for folder in sorted(words):
        print(f"{1000 * found[folder] / max(words[folder], 1):6.2f}  {found[folder]:5} of {words[folder]:6}  {folder}")


def main() -> int:
    """Print what is found; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", action="store_true", help="print rates for each folder")
    if parser.parse_args().count:
        count()
        return 0
    problems = 0
    for path in files():
        for number, text in prose_of(path):
            for match in PATTERN.finditer(text):
                problems += 1
                print(f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: write {advice(match[0])}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
