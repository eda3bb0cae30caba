"""What was measured, in words."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mcp_storage.speed.result import Growth, Speed, StoreResult


def duration(milliseconds: float) -> str:
    """Return a time with two or three digits."""
    for unit, size in (("s", 1000.0), ("ms", 1.0)):
        if milliseconds >= size:
            return f"{digits(milliseconds / size)} {unit}"
    return f"{digits(milliseconds * 1000)} µs"


def rate(per_second: float) -> str:
    """Return calls a second, such as ``12.3k/s``."""
    return f"{digits(per_second / 1000)}k/s" if per_second >= 1000 else f"{digits(per_second)}/s"


def times(factor: float) -> str:
    """Return a factor, such as ``×94``."""
    return f"×{digits(factor)}" if factor < 1000 else f"×{factor:,.0f}"


def digits(number: float) -> str:
    """Return two or three digits, without an exponent."""
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.1f}" if number < 20 else f"{number:.0f}"


def exponent(number: float) -> str:
    """Return an exponent with two digits, and zero without a sign."""
    return f"{round(number, 2) + 0.0:.2f}"


def growth(found: Growth) -> str:
    """Return how an operation grows, such as ``list 10 grows with others' sessions: ×94 for ×100``."""
    if found.exponent is None:
        return f"{found.operation}: too few sizes to say whether it grows"
    verb = "grows" if found.grows else "does not grow"
    first, last = found.points[0], found.points[-1]
    return (
        f"{found.operation} {verb} with others' sessions: {times(found.factor)} for {times(found.sizes)} "
        f"(exponent {exponent(found.exponent)}; {duration(first.p10_ms)} among {first.others:,}, "
        f"{duration(last.p10_ms)} among {last.others:,})"
    )


def reconnect(speed: Speed) -> str:
    """Return that an operation connects for each call."""
    count = digits(speed.connections)
    return f"{speed.operation} opens {count} connection{'' if count == '1' else 's'} a call: keep one open, or a pool"


def findings(store: StoreResult) -> Iterator[str]:
    """Yield what a store's author should look at."""
    for found in store.growth:
        if found.grows:
            yield f"{growth(found)}: look for a scan of all sessions, or a missing index"
    for speed in store.reconnecting:
        yield reconnect(speed)
