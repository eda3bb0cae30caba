"""The defects of docs/key-value.md, each shown by a few lines without the suite.

``make`` returns a new store object on the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Make = Callable[[], Any]


async def names_meet(make: Make) -> bool:
    """Return whether key ``c`` of collection ``a::b`` is also key ``b::c`` of collection ``a``."""
    store = make()
    await store.put("c", {"of": "a::b"}, collection="a::b")
    return await store.get("b::c", collection="a") == {"of": "a::b"}
