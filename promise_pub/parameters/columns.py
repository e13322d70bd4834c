"""The keys of the messages: their limits and their faults. Pure functions."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from promise_pub.errors import BadParameter

NAME_AND_MAIL = ("name", "mail")
"""The columns of a file unless others are named."""

MAX_COLUMNS = 100
MAX_KEY = 100  # characters
_SHOWN = 50  # characters of a key in an error

# Exactly what `parse_columns` takes, except that it refuses a name given twice.
_END, _WITHIN = r"[^ ,\u0000-\u001f\u007f-\u009f]", r"[^,\u0000-\u001f\u007f-\u009f]"
_KEY = f" *{_END}(?:{_WITHIN}{{0,{MAX_KEY - 2}}}{_END})? *"
COLUMNS_PATTERN = f"^{_KEY}(?:,{_KEY}){{0,{MAX_COLUMNS - 1}}}$"


def parse_columns(text: str) -> tuple[str, ...]:
    """Returns the keys in a parameter, which commas separate; spaces around a key are left out. Raises BadParameter."""
    columns = tuple(key.strip(" ") for key in text.split(",")) if text else ()
    if fault := find_fault(columns):
        raise BadParameter(f"columns must be different names with commas between them: {fault}.")
    return columns


def find_fault(keys: Sequence[str]) -> str | None:
    """Returns why these cannot be the keys of a message, naming the first that cannot; None where they can."""
    if len(keys) > MAX_COLUMNS:
        return f"has {len(keys):,} columns, over the limit of {MAX_COLUMNS}"
    for number, key in enumerate(keys, start=1):
        if fault := _find_fault_of_one(key):
            return f"column {number} {fault}"
    key, times = Counter(keys).most_common(1)[0] if keys else ("", 0)
    return f"{quoted(key)} appears {times} times" if times > 1 else None


def _find_fault_of_one(key: str) -> str | None:
    if not key:
        return "has no name"
    if len(key) > MAX_KEY:
        return f"has a name of {len(key):,} characters, over the limit of {MAX_KEY}"
    if odd := next((one for one in key if unicodedata.category(one) in ("Cc", "Cs")), None):
        return f"holds the control character U+{ord(odd):04X}"
    return None


def quoted(key: str) -> str:
    """Returns a key as an error quotes it, cut to what helps to find it."""
    return repr(key[:_SHOWN])
