"""The environment variables that choose a store, and hints about variables that look like them.

No error repeats a value: it may be a key, or a URL with a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from reference_backends.core.errors import ConfigurationError
from reference_backends.core.setting_values import checked, checked_path, stripped

SERVICE_KEYS = ("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY")
"""The variables that may hold the server-side key. The first one that is set is used."""

PUBLIC_KEYS = ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_ANON_KEY")
"""The variables that may hold the public key. They are used if no server-side key is set."""

KNOWN = (
    "MCP_TS_STORAGE_TYPE",
    "MCP_TS_STORAGE_FILE",
    "MCP_TS_STORAGE_SQLITE_PATH",
    "MCP_TS_STORAGE_STRICT",
    "REDIS_URL",
    "SUPABASE_URL",
    *SERVICE_KEYS,
    *PUBLIC_KEYS,
    "STORAGE_ENCRYPTION_KEY",
)
"""Every variable that is read to choose a store."""

OURS = re.compile(r"MCP_TS_STORAGE_|STORAGE_ENCRYPTION_")
"""How the names of variables begin that only this package and ``@mcp-ts/sdk`` read."""

CONFUSABLES = re.compile(r"(NEXT_PUBLIC_|VITE_|PUBLIC_)?SUPABASE_|(UPSTASH_)?REDIS|VALKEY")
"""How the names of variables begin that belong to one of the stores but are not read here."""


class Settings:
    """The variables of an environment. A variable that is empty, white space or empty quotes counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = dict(environ)

    def __contains__(self, name: str) -> bool:
        """Return whether the variable is set and not empty."""
        return bool(self.stripped(name))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the variables that are set."""
        return (name for name in self._values if name in self)

    def __repr__(self) -> str:
        return f"<Settings: {', '.join(sorted(name for name in self if name in KNOWN)) or 'nothing set'}>"

    def is_empty(self, name: str) -> bool:
        """Return whether the variable is set but empty."""
        return name in self._values and name not in self

    def raw(self, name: str) -> str:
        """Return the unchanged value; empty text if the variable is unset."""
        return self._values.get(name, "")

    def stripped(self, name: str) -> str:
        """Return the value without white space and one pair of quotes around it; empty text if it is unset."""
        return stripped(self.raw(name))

    @property
    def store_type(self) -> str:
        """The value of ``MCP_TS_STORAGE_TYPE`` in lower case, known or not; empty text if it is not set."""
        return self.stripped("MCP_TS_STORAGE_TYPE").lower()

    def text(self, name: str) -> str:
        """Return the stripped value. Raise :class:`ConfigurationError` if it is obviously a mistake."""
        return checked(name, self.raw(name))

    def path(self, name: str, default: str) -> str:
        """Return the path in the variable with ``~`` expanded. Raise :class:`ConfigurationError` for a bad path."""
        return checked_path(name, self.text(name)) if name in self else default

    def first(self, names: tuple[str, ...]) -> str | None:
        """Return the first of the names that is set."""
        return next((name for name in names if name in self), None)

    def check_names(self) -> None:
        """Raise :class:`ConfigurationError` if a name begins like our variables but is not one of them."""
        if unknown := self.unknown(OURS):
            known = ", ".join(name for name in KNOWN if OURS.match(name))
            raise ConfigurationError(f"{', '.join(unknown)}: unknown variable; the known ones are {known}")

    def check_supabase(self) -> None:
        """Raise :class:`ConfigurationError` if ``SUPABASE_URL`` is set without a key."""
        if "SUPABASE_URL" in self and self.first(SERVICE_KEYS + PUBLIC_KEYS) is None:
            raise ConfigurationError(
                f"SUPABASE_URL is set without a key: set {' or '.join(SERVICE_KEYS)}{self.hints()}"
            )

    def hints(self) -> str:
        """Return hints about variables that are set but not used, to be appended to an error."""
        found = []
        key = self.first(SERVICE_KEYS + PUBLIC_KEYS)
        if key is not None and "SUPABASE_URL" not in self:
            found.append(f"{key} is set, and SUPABASE_URL is not")
        if empty := [name for name in KNOWN if self.is_empty(name) and name != "MCP_TS_STORAGE_STRICT"]:
            found.append(f"empty: {', '.join(empty)}")
        if unread := self.unknown(CONFUSABLES):
            found.append(f"set, but not read: {', '.join(unread)}")
        return "".join(f"; {each}" for each in found)

    def unknown(self, pattern: re.Pattern[str]) -> list[str]:
        """Return the sorted names of set variables that begin as ``pattern`` says and that are not known here."""
        return sorted(name for name in self if pattern.match(name) and name not in KNOWN)
