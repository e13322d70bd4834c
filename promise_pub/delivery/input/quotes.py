"""Quotes: where a record ends that may span lines, or why it does not, in work that is linear whatever the bytes are."""

from __future__ import annotations

import math
import re
from enum import Enum

from promise_pub.delivery.input.dialect import FIELD_LIMIT, QUOTED, RECORD_LIMIT, Dialect
from promise_pub.delivery.input.lines import LINE_END, Bytes

NEVER_CLOSES = "has a quote that never closes"
CLOSES_TOO_LATE = f"has a quote that does not close within the limit of {FIELD_LIMIT:,} characters"
GOES_TOO_FAR = f"has a quote that leads past the limit of {RECORD_LIMIT:,} bytes for a record"
TEXT_AFTER_QUOTE = "has text after a closing quote"

# A quoted field is surely within the limit with so many characters between two quotes, and so many pairs of quotes:
# 101,200 bytes at most.
_SHORT_RUN, _SHORT_PAIRS = 1_000, 100

_INSIDE_QUOTES = re.compile(QUOTED)
_QUOTE, _LF, _CR = b'"\n\r'


class WalkState(Enum):
    """State of a walk over a record."""

    FIELD = "at the start of a field"
    PLAIN = "in an unquoted field"
    QUOTED = "inside quotes"
    END = "at the line end that ends the record"
    MALFORMED = "at what must not follow a closing quote"


class Walker:
    """Walks over the records of a dialect, field by field."""

    def __init__(self, dialect: Dialect) -> None:
        d = dialect.escaped
        self._delimiter = ord(dialect.delimiter)
        self._encoding = dialect.encoding
        self._inside_plain = re.compile(rb"[^%b\r\n]*+" % d)
        self._whole_fields = re.compile(rb'(?:(?:"%b"|[^"%b\r\n][^%b\r\n]*+|)%b)*+' % (QUOTED, d, d, d))
        self._raw_field = re.compile(rb'(?:"(%b)"|[^%b]*+)%b?' % (QUOTED, d, d))
        # Fields that need not be stepped through to see that they are within the limit.
        run = rb'[^"]{0,%d}+' % _SHORT_RUN
        short = rb'"%b(?:""%b){0,%d}+"' % (run, run, _SHORT_PAIRS)
        self._short_fields = re.compile(rb'(?:(?:%b|[^"%b][^%b]*+|)%b)*+' % (short, d, d, d))

    def walk(self, data: Bytes, at: int, place: WalkState, stop: int) -> tuple[int, WalkState]:
        """Walks from `at` up to `stop`, the end of the record or a fault in it, whichever comes first.

        Leaves a byte that cannot be judged yet (a quote as the last byte: closing, or the first of two?) to the next call,
        which continues from where this one stopped: nothing is read twice, however the bytes were cut.
        """
        while at < stop:
            if place is WalkState.QUOTED:
                moved = self._quoted(data, at, stop)
            elif place is WalkState.PLAIN:
                moved = self._plain(data, at, stop)
            elif place is WalkState.FIELD:
                moved = self._fields(data, at, stop)
            else:
                break
            if moved == (at, place):
                break
            at, place = moved
        return at, place

    def _fields(self, data: Bytes, at: int, stop: int) -> tuple[int, WalkState]:
        match = self._whole_fields.match(data, at, stop)
        at = match.end() if match else at
        if at == stop:
            return at, WalkState.FIELD
        return (at + 1, WalkState.QUOTED) if data[at] == _QUOTE else (at, WalkState.PLAIN)

    def _plain(self, data: Bytes, at: int, stop: int) -> tuple[int, WalkState]:
        match = self._inside_plain.match(data, at, stop)
        at = match.end() if match else at
        if at == stop:
            return at, WalkState.PLAIN
        return (at + 1, WalkState.FIELD) if data[at] == self._delimiter else (at, WalkState.END)

    def _quoted(self, data: Bytes, at: int, stop: int) -> tuple[int, WalkState]:
        match = _INSIDE_QUOTES.match(data, at, stop)
        quote = match.end() if match else at
        after = quote + 1
        if after >= stop:
            return quote, WalkState.QUOTED
        if data[after] == self._delimiter:
            return after + 1, WalkState.FIELD
        return after, WalkState.END if data[after] in (_LF, _CR) else WalkState.MALFORMED

    def too_late(self, record: bytearray) -> int | None:
        """Returns where the first quoted field closes that is over the limit and spans lines, if the record has one.

        Any record that is open at a line end before that has this field too: inside it all quotes come in pairs, so a
        line that starts inside it opens none.
        """
        at = 0
        while len(record) - at > FIELD_LIMIT:
            short = self._short_fields.match(record, at)
            field = self._raw_field.match(record, short.end() if short else at)
            if field is None or field.end() == at:
                break
            if (quoted := field[1]) and LINE_END.search(quoted):
                characters = len(quoted.decode(self._encoding, errors="replace")) - quoted.count(b'""')
                if characters > FIELD_LIMIT:
                    return field.end(1)
            at = field.end()
        return None


class OpenRecords:
    """Follows records whose first line ends inside quotes. A record that fails costs its first line only.

    When every line opens a quote that leads nowhere, each must not be followed afresh. Two facts prevent it. A walk
    that passes a line end is inside quotes there, or the record would have ended; so any later record that is open at
    that line end goes the same way, and takes over where the walk stands. And if the walk failed on a fault, so do all
    records that are open at a line end before the fault: those are doomed at once.

    All positions are in the reader's buffer; `shift` moves them along with it.
    """

    def __init__(self, walker: Walker, width: int) -> None:
        self._walker = walker
        # More than two good fields may be longer than a record may be.
        self._no_end = CLOSES_TOO_LATE if width <= 2 else GOES_TOO_FAR
        self._at, self._place = 0, WalkState.PLAIN
        self._doomed_before, self._reason = -1.0, ""

    def shift(self, dropped: int) -> None:
        """Moves the positions along: the buffer lost its first bytes."""
        self._at -= dropped
        self._doomed_before -= dropped

    def enter(self, line_end: int) -> str | None:
        """Notes a record that is open at this line end. Returns why it is doomed, if it is."""
        if line_end < self._doomed_before:
            return self._reason
        if line_end >= self._at:
            self._at, self._place = line_end + 1, WalkState.QUOTED
        return None

    def follow(self, data: bytearray, start: int, *, whole: bool) -> int | str | None:
        """Follows the record that was entered last, and started at `start`.

        Returns the line end that ends it, or why there is none, or None if more bytes must tell; `whole` says that
        there are no more.
        """
        limit = start + RECORD_LIMIT
        stop = min(limit, len(data))
        self._at, self._place = self._walker.walk(data, self._at, self._place, stop)
        if self._place is WalkState.END:
            closing = self._walker.too_late(data[start : self._at])
            return self._at if closing is None else self._doom(start + closing, CLOSES_TOO_LATE)
        if self._place is WalkState.MALFORMED:
            return self._doom(self._at, TEXT_AFTER_QUOTE)
        if stop == limit:
            return self._no_end  # a record that starts later may still end within its limit
        return self._doom(math.inf, NEVER_CLOSES) if whole else None

    def _doom(self, before: float, reason: str) -> str:
        self._doomed_before, self._reason = before, reason
        return reason
