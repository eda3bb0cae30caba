"""Which arguments of a store a harness can fill in, by their names and annotations."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pytest_mcp_storage.spec.capabilities import Capability

OPTIONS = {
    "encryption_key": (Capability.KEY, ("encryption_key", "encryption_keys", "key", "keys", "secret_key")),
    "clock": (Capability.CLOCK, ("clock", "now", "time", "time_source")),
    "default_ttl": (
        Capability.DEFAULT_TTL,
        ("default_ttl", "default_ttl_seconds", "session_ttl", "ttl", "ttl_seconds"),
    ),
}
"""Argument of ``BackendHarness.open`` -> its capability, and the names that stores give it."""
OTHER_UNITS = ("bytes", "datetime", "timedelta", "Fernet")
"""An argument with one of these in its annotation takes something else than ``open`` gets."""
FILES = ("path", "file", "filename", "file_path", "database", "database_path", "db", "db_path")
FOLDERS = ("folder", "directory", "root", "data_dir")
URLS = ("url", "uri", "dsn", "database_url", "db_url", "connection_string", "conninfo")

FILE = 'self.folder / "sessions.db"'
SQLITE_URL = "f\"sqlite+aiosqlite:///{self.folder / 'sessions.db'}\""


class Argument(NamedTuple):
    """An argument of the store, and the expression that the harness passes."""

    name: str
    value: str


@dataclass
class Signature:
    """What is known of a store.

    ``given``: arguments that say where the data is. ``options``: argument of ``open`` -> argument of the store.
    ``unknown``: required arguments that the author has to fill in. ``uses``: what the harness keeps for its store:
    ``folder``, ``engines``, ``key_value``, ``url``.
    """

    is_async: bool
    given: list[Argument] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)

    @property
    def capabilities(self) -> list[Capability]:
        """The capabilities that the harness declares. HA-1 checks them."""
        found = [OPTIONS[option][0] for option in self.options]
        if self.uses or self.unknown:
            found += [Capability.DURABLE, Capability.SHARED]
        if self.uses == {"folder"} and not self.unknown:
            found.append(Capability.CRASH)
        return found


def signature_of(store: Callable[..., Any]) -> Signature:
    """Read the signature of a class, or of a function that returns a store."""
    found = Signature(is_async=inspect.iscoroutinefunction(store))
    for parameter in _parameters(store):
        annotation = _text(parameter.annotation)
        if option := _option(parameter.name, annotation, found.options):
            found.options[option] = parameter.name
        elif place := _place(parameter, annotation, _module_of(store), found.uses):
            found.given.append(Argument(parameter.name, place))
        elif parameter.default is parameter.empty:
            found.unknown.append(parameter.name)
    return found


def _parameters(store: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Yield each argument once. For ``**options``, yield the arguments of the base class."""
    seen: set[str] = set()
    classes = [each for each in getattr(store, "__mro__", ()) if "__init__" in vars(each) and each is not object]
    for each in classes or [store]:
        passes_on = False
        for parameter in inspect.signature(each).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in seen:
                seen.add(parameter.name)
                yield parameter
        if not passes_on:
            return


def _option(name: str, annotation: str, taken: dict[str, str]) -> str:
    """Return the argument of ``open`` that belongs to an argument of the store; empty if none does."""
    if any(unit in annotation for unit in OTHER_UNITS):
        return ""
    return next((each for each, (_, names) in OPTIONS.items() if name in names and each not in taken), "")


def _place(parameter: inspect.Parameter, annotation: str, module: str, uses: set[str]) -> str:
    """Return the expression for an argument that says where the data is, and note what it uses; empty for another."""
    if "AsyncEngine" in annotation:
        uses |= {"folder", "engines"}
        return "self.engine()"
    if "AsyncKeyValue" in annotation:
        uses.add("key_value")
        return "self.key_value"
    if parameter.name in URLS:
        sqlalchemy = re.search(r"^(import|from) sqlalchemy\b", module, re.MULTILINE) is not None
        sqlalchemy = sqlalchemy or str(parameter.default).startswith("sqlite")
        uses.add("folder" if sqlalchemy else "url")
        return SQLITE_URL if sqlalchemy else "URL"
    if parameter.name in (*FILES, *FOLDERS):
        uses.add("folder")
        value = FILE if parameter.name in FILES else "self.folder"
        return f"str({value})" if "str" in annotation and "Path" not in annotation else value
    return ""


def _text(annotation: object) -> str:
    return "" if annotation is inspect.Parameter.empty else getattr(annotation, "__name__", "") + str(annotation)


def _module_of(store: Callable[..., Any]) -> str:
    """Return the source of the store's module; empty if there is none."""
    try:
        return inspect.getsource(sys.modules[store.__module__])
    except (OSError, TypeError, KeyError):
        return ""
