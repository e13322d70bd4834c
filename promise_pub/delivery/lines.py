"""Line ends: LF, CRLF and CR, in any mixture. Pure functions over bytes that never end between a CR and its LF."""

from __future__ import annotations

import re

Bytes = bytes | bytearray

LINE_END = re.compile(rb"\r\n?|\n")
_CR, _LF = b"\r\n"


def after_line_end(data: Bytes, at: int) -> int:
    """Returns the place after the line end that begins at `at`."""
    return at + 2 if data[at] == _CR and data[at + 1 : at + 2] == b"\n" else at + 1


def after_last_line_end(data: Bytes, start: int, stop: int) -> int:
    """Returns the place after the last line end that lies whole within these bounds, 0 if none does.

    A CR as the last byte is none: its LF may be the next.
    """
    return 1 + max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop - 1))


def count_line_ends(data: Bytes) -> int:
    """Returns how many line ends there are; a CRLF is one."""
    count = data.count(b"\n")
    return count + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else count


def with_line_feeds(data: Bytes) -> Bytes:
    """Returns the same lines, each ended by an LF."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
