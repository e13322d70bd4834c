"""Properties of a message, as the bytes of its content header have them. Pure.

Whatever the bytes are, nothing here raises more than a ValueError: they are a stranger's.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

from pamqp import decode

# The properties in their order on the wire, each with a flag from the highest bit on, and their types: short string,
# table, octet or timestamp.
_PROPERTIES = (
    ("content_type", "s"),
    ("content_encoding", "s"),
    ("headers", "t"),
    ("delivery_mode", "o"),
    ("priority", "o"),
    ("correlation_id", "s"),
    ("reply_to", "s"),
    ("expiration", "s"),
    ("message_id", "s"),
    ("timestamp", "T"),
    ("type", "s"),
    ("user_id", "s"),
    ("app_id", "s"),
    ("cluster_id", "s"),
)
_FLAGGED = tuple((1 << (15 - n), name, kind) for n, (name, kind) in enumerate(_PROPERTIES))
_KNOWN = frozenset({"content_type", "headers", "message_id", "timestamp", "user_id", "app_id"})
_number = Struct(">Q").unpack_from
_length = Struct(">I").unpack_from


class Properties(NamedTuple):
    """Properties that say what a message is and whose.

    `headers` is a table, for `decode_table`; b"" where there is none, or it was longer than the reader wanted it.
    `timestamp` is in seconds since 1970, if its sender keeps to AMQP.
    """

    content_type: bytes = b""
    headers: bytes = b""
    headers_size: int = 0
    message_id: bytes = b""
    timestamp: int | None = None
    user_id: bytes = b""
    app_id: bytes = b""


def parse_properties(data: bytes, longest: int) -> Properties:
    """Reads the properties, whose flags come first; those up to the first that is cut off. `longest` is about headers."""
    if len(data) < 2:
        return Properties()
    flags = data[0] << 8 | data[1]
    found: dict[str, Any] = {}
    at, size = 2, len(data)
    for flag, name, kind in _FLAGGED:
        if not flags & flag:
            continue
        start, end = _find_value(data, at, kind)
        if end > size:
            break
        if kind == "t":
            found["headers_size"] = end - at
            if end - at > longest:
                start = end
        if name in _KNOWN:
            found[name] = _number(data, at)[0] if kind == "T" else data[start:end]
        at = end
    return Properties(**found)


def _find_value(data: bytes, at: int, kind: str) -> tuple[int, int]:
    """Returns where a value starts and ends, beyond the data where it is cut off. A table has its length with it."""
    if kind == "s":
        return at + 1, at + 1 + data[at] if at < len(data) else len(data) + 1
    if kind == "t":
        return at, at + 4 + (_length(data, at)[0] if at + 4 <= len(data) else 0)
    return at, at + (8 if kind == "T" else 1)


def decode_table(table: bytes) -> dict[str, Any]:
    """Returns the values of a table by their names. Raises ValueError where one cannot be decoded.

    Takes a time that grows with the square of the size: the caller bounds it.
    """
    try:
        _, values = decode.field_table(table)
    except (ArithmeticError, OSError, RecursionError) as error:
        raise ValueError("The table cannot be decoded.") from error
    return values
