"""The names that an example uses, so that examples and processes don't meet on one store."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

from reference_backends import SessionData

PROCESS = secrets.token_hex(4)
"""Distinguishes the names of this process from those of other processes and of earlier runs on the same store."""
_examples = itertools.count(1)


class ExampleNames:
    """Marks names with the number of the example; on a shared store with the process too."""

    number = 0
    """The number of the example; it increases from example to example."""
    _mark = ""

    def renew_names(self, *, shared: bool) -> None:
        """Start using names that no example had before."""
        self.number = next(_examples)
        self._mark = f"{PROCESS if shared else ''}{self.number:x}"

    def identity(self, name: str) -> str:
        """Return ``name`` as an identity of this example. The mark is a prefix, so that endings stay endings."""
        return f"{self._mark}.{name}"

    def session_id(self, name: str) -> str:
        """Return ``name`` as a session id of this example. The mark is a suffix, so that beginnings stay beginnings."""
        return f"{name}.{self._mark}"

    def own(self, value: Any) -> Any:
        """Return the value with each session in it renamed for this example."""
        if isinstance(value, SessionData):
            names = {"identity": self.identity(value.identity), "session_id": self.session_id(value.session_id)}
            return value.model_copy(update=names)
        if isinstance(value, (list, tuple)):
            return type(value)(self.own(item) for item in value)
        if isinstance(value, dict):
            return {name: self.own(item) for name, item in value.items()}
        return value
