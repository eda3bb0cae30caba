"""How much of a sample cannot be guessed."""

from __future__ import annotations

from collections import Counter
from math import log2


def entropy(symbols: list[str]) -> float:
    """Return the Shannon entropy of a sample, in bits, corrected for its size (Miller and Madow, 1955)."""
    counts = Counter(symbols).values()
    total = len(symbols)
    plain = -sum(count / total * log2(count / total) for count in counts)
    return plain + (len(counts) - 1) / (2 * total)
