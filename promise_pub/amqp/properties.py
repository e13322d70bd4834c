"""Properties of a message, as the bytes of its content header have them. Pure.

Whatever the bytes are, nothing here raises more than a ValueError: they are a stranger's.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

from pamqp import decode

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


_NONE = Properties()
# The properties in their order on the wire: the flag of each, its size (0: a short string) and its place in Properties,
# for those that have one.
_LAYOUT = (
    (1 << 15, 0, Properties._fields.index("content_type")),
    (1 << 14, 0, None),  # content_encoding
    (1 << 13, 4, Properties._fields.index("headers")),
    (1 << 12, 1, None),  # delivery_mode
    (1 << 11, 1, None),  # priority
    (1 << 10, 0, None),  # correlation_id
    (1 << 9, 0, None),  # reply_to
    (1 << 8, 0, None),  # expiration
    (1 << 7, 0, Properties._fields.index("message_id")),
    (1 << 6, 8, Properties._fields.index("timestamp")),
    (1 << 5, 0, None),  # type
    (1 << 4, 0, Properties._fields.index("user_id")),
    (1 << 3, 0, Properties._fields.index("app_id")),
)


def parse_properties(data: bytes, longest: int) -> Properties:
    """Reads the properties, whose flags come first; those up to the first that is cut off. `longest` is about headers."""
    found: list[Any] = [*_NONE]
    at, size = 2, len(data)
    flags = data[0] << 8 | data[1] if size > 1 else 0
    for flag, width, place in _LAYOUT:
        if not flags & flag:
            continue
        start = at if width else at + 1
        if start + width > size:
            break
        at = start + (width or data[at])
        if width == 4:
            at += _length(data, start)[0]
        if at > size:
            break
        if place is None:
            continue
        if width == 4:
            # Its size has the place behind it.
            found[place + 1] = at - start
            found[place] = data[start:at] if at - start <= longest else b""
        else:
            found[place] = _number(data, start)[0] if width else data[start:at]
    return Properties._make(found)


def decode_table(table: bytes) -> dict[str, Any]:
    """Returns the values of a table by their names. Raises ValueError where one cannot be decoded.

    Takes a time that grows with the square of the size: the caller bounds it.
    """
    try:
        _, values = decode.field_table(table)
    except (ArithmeticError, OSError, RecursionError) as error:
        raise ValueError("The table cannot be decoded.") from error
    return values
