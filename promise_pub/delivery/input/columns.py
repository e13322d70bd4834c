"""The keys of the messages: their limits and their faults. Pure functions."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

MOST_COLUMNS = 100
KEY_LIMIT = 100  # characters
_SHOWN = 50  # characters of a key in an error


def columns_of(text: str) -> tuple[str, ...]:
    """Returns the keys in a parameter, separated by commas, without the spaces around them."""
    return tuple(key.strip(" ") for key in text.split(","))


def fault_of(keys: Sequence[str]) -> str | None:
    """Says why these cannot be the keys of a message, naming the first that cannot; None where they can."""
    if len(keys) > MOST_COLUMNS:
        return f"has {len(keys):,} columns, over the limit of {MOST_COLUMNS}"
    for number, key in enumerate(keys, start=1):
        if fault := _fault_of(key):
            return f"column {number} {fault}"
    key, times = Counter(keys).most_common(1)[0] if keys else ("", 0)
    return f"{shown(key)} appears {times} times" if times > 1 else None


def _fault_of(key: str) -> str | None:
    if not key:
        return "has no name"
    if len(key) > KEY_LIMIT:
        return f"has a name of {len(key):,} characters, over the limit of {KEY_LIMIT}"
    if odd := next((one for one in key if unicodedata.category(one) in ("Cc", "Cs")), None):
        return f"holds the control character U+{ord(odd):04X}"
    return None


def shown(key: str) -> str:
    """Returns a key for an error message: quoted and shortened."""
    return repr(key[:_SHOWN])
