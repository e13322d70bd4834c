"""Parses the body of a message into a row. No I/O."""

from __future__ import annotations

import json
from typing import NamedTuple, TypeGuard

from promise_pub.records import MAX_EMPLOYEE_TEXT

MAX_BODY = 1024 * 1024  # bytes; parsing more would hold the event loop, and no usable row is nearly as large


class RowValues(NamedTuple):
    """The row that one message asks to save, and the row number in the message's id; 0 where there is none."""

    name: str
    mail: str
    number: int = 0


def parse(body: bytes, number: int = 0) -> RowValues | None:
    """Returns the row in a message; None where there is none, or PostgreSQL would not take it. Ignores further keys."""
    if len(body) > MAX_BODY:
        return None
    try:
        # Decoded first: given bytes, json.loads would also take UTF-16 and UTF-32.
        row = json.loads(body.decode())
    except (ValueError, RecursionError):
        # ValueError: not UTF-8, not JSON, or a number of thousands of digits.
        return None
    if not isinstance(row, dict):
        return None
    name, mail = row.get("name"), row.get("mail")
    return RowValues(name, mail, number) if _storable(name) and _storable(mail) else None


def _storable(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or len(value) > MAX_EMPLOYEE_TEXT or "\0" in value:
        return False
    # JSON can spell half a surrogate pair, UTF-8 cannot.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
