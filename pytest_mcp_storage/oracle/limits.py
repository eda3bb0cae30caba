"""The contract's numbers, written a second time: if they came from the library, its mistakes would go unnoticed."""

from __future__ import annotations

LONGEST_NAME = 255
"""Characters of an identity or a session id."""

DEEPEST_NESTING = 64
"""Containers of JSON inside one another."""

LARGEST_NUMBER = 2**53 - 1

LATEST_MOMENT_MS = 253402300799999
"""The last millisecond of the year 9999."""

DEFAULT_TTL = 43_200
"""Seconds (EX-6)."""

LONGEST_TTL = 3_155_760_000
"""Seconds, a hundred years (EX-8)."""
