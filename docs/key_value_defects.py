"""The defects of docs/key-value.md, each shown by a few lines without the suite.

``make`` returns a new store object on the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from key_value.aio.errors import BaseKeyValueError, StoreSetupError

Make = Callable[[], Any]


async def names_meet(make: Make) -> bool:
    """Return whether key ``c`` of collection ``a::b`` is also key ``b::c`` of collection ``a``."""
    store = make()
    await store.put("c", {"of": "a::b"}, collection="a::b")
    return await store.get("b::c", collection="a") == {"of": "a::b"}


async def slashes_meet(make: Make) -> bool:
    """Return whether key ``c`` of collection ``a/b`` is also key ``b/c`` of collection ``a``."""
    store = make()
    await store.put("c", {"of": "a/b"}, collection="a/b")
    return await store.get("b/c", collection="a") == {"of": "a/b"}


async def some_names_fail(make: Make) -> bool:
    """Return whether names that are no file names fail: keys with errors that are not py-key-value's."""
    store = make()
    errors = []
    for key in ("b/c", "é" * 200, "\0"):
        try:
            await store.put(key, {"of": "a"}, collection="a")
        except (OSError, ValueError) as error:
            errors.append(error)
    try:
        await store.put("k", {"of": "a"}, collection="é" * 200)
    except StoreSetupError:
        return len(errors) == 3
    return False


async def values_change(make: Make) -> bool:
    """Return whether some values come back as others, and one raises an error that is not py-key-value's."""
    store = make()
    found = []
    for value in ({"list": [1, "x"]}, {"list": [True, 2]}, {"object": {"": "x"}}, {"key": ["k"], "value": ["v"]}):
        await store.put("k", value)
        found.append(await store.get("k"))
    changed = found == [{"list": ["1", "x"]}, {"list": [1, 2]}, {"object": ["x"]}, {"k": "v"}]
    error = await error_of(store, {"list": [["x"], "y"]})
    return changed and error is not None and not isinstance(error, BaseKeyValueError)


async def an_error_shows_the_value(make: Make) -> bool:
    """Return whether the text of an error contains a text of the value."""
    return "a secret" in str(await error_of(make(), {"list": [["x"], "a secret"]}))


async def error_of(store: Any, value: dict[str, Any]) -> Exception | None:
    """Return the error that ``put`` raises."""
    try:
        await store.put("k", value)
    except Exception as error:
        return error
    return None


async def ends_early(make: Make) -> bool:
    """Return whether an entry with a ``ttl`` of 1.9 s is gone 1.3 s after it was stored."""
    store = make()
    await store.put("k", {"n": 1}, ttl=1.9)
    await asyncio.sleep(1.3)
    return await store.get("k") is None


async def too_many_connections(make: Make) -> bool:
    """Return whether some of 200 calls at the same time raise an error."""
    store = make()
    answers = await asyncio.gather(*(store.get(f"k{n}") for n in range(200)), return_exceptions=True)
    await store.close()
    return any(isinstance(each, Exception) for each in answers)


async def cancellation_is_lost(make: Make) -> bool:
    """Return whether a call that is cancelled while it connects goes on and returns as if it had not been."""
    lost = False
    for turns in range(1, 12):
        store = make()
        call = asyncio.create_task(store.put("k", {"n": turns}))
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.done():
            break
        call.cancel()
        await asyncio.wait([call])
        lost = lost or not call.cancelled()
        await store.close()
    return lost
