"""A file's header: its first record, which holds the keys of the messages. Pure functions over bytes."""

from __future__ import annotations

from typing import NamedTuple

from promise_pub.delivery.input.dialect import BLANK_LINES, IS_SEP_LINE, SEP_LINE, Dialect
from promise_pub.delivery.input.lines import after_line_end, count_line_ends
from promise_pub.delivery.input.quotes import NEVER_CLOSES, TEXT_AFTER_QUOTE, Walker, WalkState
from promise_pub.errors import BadHeader
from promise_pub.parameters import DELIMITERS
from promise_pub.parameters.columns import find_fault, quoted

HEADER_LIMIT = 65_536  # bytes up to a header's end: 100 keys of 100 characters take 41,000 at most


class Header(NamedTuple):
    """Keys of the messages, and the byte offset and line of the first record after them."""

    keys: tuple[str, ...]
    offset: int
    line: int


def find_header(head: bytes, dialect: Dialect, *, whole: bool) -> Header | None:
    """Returns the header at the beginning of a file; None where the file holds nothing but blank lines.

    `head` are the file's first HEADER_LIMIT bytes, or more; `whole`: they are the whole file. The dialect's width does not
    matter. Raises BadHeader, which names what is wrong.
    """
    if not whole:
        head = head.removesuffix(b"\r")  # its LF may be what is cut off
    start, line = _start(head, dialect)
    data = head if not whole or head.endswith(b"\n") else head + b"\n"
    if whole and start == len(head):
        return None
    limit = min(len(data), HEADER_LIMIT)
    at, place = Walker(dialect).walk(data, start, WalkState.FIELD, limit)
    if place is not WalkState.END:
        raise BadHeader(f"The header in line {line} {_no_end(place, limit, len(data), whole=whole)}.")
    record, end = data[start:at], after_line_end(data, at)
    if line == 1 and SEP_LINE.fullmatch(record):
        raise BadHeader(f"Line 1 {IS_SEP_LINE}.")
    keys = _keys(record, dialect, line)
    return Header(keys, min(end, len(head)), line + 1 + count_line_ends(record))


def _start(head: bytes, dialect: Dialect) -> tuple[int, int]:
    """Returns the offset and the line of the first record that is not a blank line."""
    start = len(dialect.bom) if head.startswith(dialect.bom) else 0
    if blank := BLANK_LINES.match(head, start):
        return blank.end(), 1 + count_line_ends(blank[0])
    return start, 1


def _no_end(place: WalkState, limit: int, size: int, *, whole: bool) -> str:
    if place is WalkState.MALFORMED:
        return TEXT_AFTER_QUOTE
    return NEVER_CLOSES if whole and size <= limit else f"does not end within {limit:,} bytes"


def _keys(record: bytes, dialect: Dialect, line: int) -> tuple[str, ...]:
    try:
        text = record.decode(dialect.encoding)
    except UnicodeDecodeError as error:
        raise BadHeader(f"The header in line {line} {dialect.undecodable(record, error.start)}.") from error
    keys = tuple(dialect.split(text))
    if fault := _other_delimiter(text, keys) or find_fault(keys):
        raise BadHeader(f"The header in line {line} cannot be used as column names: {fault}.")
    return keys


def _other_delimiter(text: str, keys: tuple[str, ...]) -> str | None:
    """Suspects several keys in one that holds another delimiter, unless it is in quotes."""
    if len(keys) > 1 or '"' in text:
        return None
    found = next((name for name, one in DELIMITERS.items() if one in text), None)
    if found is None:
        return None
    return f"it is one, {quoted(text)}; is the delimiter {found}? If not, put it in quotes"
