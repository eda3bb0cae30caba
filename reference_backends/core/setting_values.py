"""Check the value of an environment variable, and remove the white space and quotes that ``.env`` files add.

No error repeats a value: it may be a key, or a URL with a password.
"""

from __future__ import annotations

import os
import re
import unicodedata

from reference_backends.core.errors import ConfigurationError

_PLACEHOLDER = re.compile(r"\$\{|\{\{|^<[^>]*>$|(?<![^/:@,=?])\$[A-Za-z_]\w*(?![^/:@,=?])|(?<![^/:@,=?])%[A-Za-z_]\w*%")
_WORDS_FOR_NOTHING = ("undefined", "null", "none", "nil")
_URL_FOR_A_PATH = re.compile(r"[A-Za-z][\w+.-]*://|(sqlite3?|file|jdbc|libsql)(\+\w+)?:", re.IGNORECASE)


def checked(name: str, value: str) -> str:
    """Return the value of the variable ``name`` without white space and one pair of quotes around it.

    Raise :class:`ConfigurationError` for a quote at one end only, a placeholder that was not replaced, a word for
    nothing (``undefined``), and invisible characters.
    """
    text = stripped(value)
    if text[:1] in ("'", '"') or text[-1:] in ("'", '"'):
        raise ConfigurationError(f"{name} has a quote at one end only: remove it")
    if text.lower() in _WORDS_FOR_NOTHING:
        raise ConfigurationError(f"{name} is the word {text.lower()!r}: give it a value, or unset it")
    if _PLACEHOLDER.search(text):
        raise ConfigurationError(f"{name} holds a placeholder that was not replaced: write the value itself")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp"):
            code = f"U+{ord(character):04X}"
            raise ConfigurationError(f"{name} holds an invisible character ({code}): remove it")
    return text


def checked_path(name: str, path: str) -> str:
    """Return a path with ``~`` expanded. Raise :class:`ConfigurationError` if it would create an unintended file."""
    if path == ":memory:":
        raise ConfigurationError(f"{name} is :memory:, not a file: for memory set MCP_TS_STORAGE_TYPE=memory")
    if _URL_FOR_A_PATH.match(path):
        raise ConfigurationError(f"{name} is a URL: give the path alone, such as ./data/sessions or /data/sessions")
    if os.sep == "/" and "\\" in path:
        raise ConfigurationError(f"{name} holds a backslash: write the path with /")
    if '"' in path or re.search(r"\s#", path):
        raise ConfigurationError(f"{name} holds a quote or a comment: give the path alone")
    if path.endswith(("/", os.sep)) or os.path.basename(path) in (".", ".."):
        raise ConfigurationError(f"{name} names a folder: add the name of a file")
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise ConfigurationError(f"{name} begins with ~, but that home folder is unknown: write the whole path")
    return expanded


def stripped(value: str) -> str:
    """Return the value without white space and one pair of quotes around it."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in ("'", '"'):
        text = text[1:-1].strip()
    return text
