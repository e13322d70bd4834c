"""Recognises message ids that were received before, and lists rows by number, in bounded memory. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from promise_pub.delivery.evidence.ranges import RowRanges

# A session belongs to one run; ids of more runs than this are kept as foreign ones.
MAX_RUNS = 16
MAX_FOREIGN = 100_000  # ids; about 10 MB
_MAX_DIGITS = 18  # of a row number: what fits into 63 bits


class DistinctIds:
    """The message ids of one session.

    Ids of the form `{run id}:{row number}` cost memory for gaps between the numbers, not for rows. Of all other ids the
    newest 100,000 are remembered: an older one counts as new when it is received again.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RowRanges] = {}
        self._foreign: dict[str, None] = {}

    def add(self, message_id: str) -> int | None:
        """Remembers an id. Returns the row number in it, 0 where it is foreign, and None if it was known."""
        run, colon, digits = message_id.rpartition(":")
        if not (colon and _is_row_number(digits)):
            return self._add_foreign(message_id)
        ranges = self._runs.get(run)
        if ranges is None:
            if len(self._runs) == MAX_RUNS:
                return self._add_foreign(message_id)
            ranges = self._runs[run] = RowRanges()
        number = int(digits)
        return number if ranges.add(number) else None

    @property
    def of_one_run(self) -> bool:
        """True while a row number names one row: no id is foreign, and all belong to one run."""
        return not self._foreign and len(self._runs) <= 1

    def rows(self, max_ranges: int) -> str | None:
        """Returns the row numbers of the only run as ranges; None when these are too many."""
        ranges = next(iter(self._runs.values()), RowRanges())
        return str(ranges) if ranges.pieces <= max_ranges else None

    def _add_foreign(self, message_id: str) -> int | None:
        if message_id in self._foreign:
            return None
        if len(self._foreign) == MAX_FOREIGN:
            del self._foreign[next(iter(self._foreign))]
        self._foreign[message_id] = None
        return 0


class RowList:
    """Row numbers that are told as ranges.

    Once there are more than `max_ranges` they are given up for good, which bounds the memory.
    """

    def __init__(self, max_ranges: int) -> None:
        self._max_ranges = max_ranges
        self._ranges: RowRanges | None = RowRanges()

    def add(self, numbers: Iterable[int]) -> None:
        """Adds rows; 0 stands for one without a number."""
        if self._ranges is None:
            return
        for number in numbers:
            if number:
                self._ranges.add(number)
        if self._ranges.pieces > self._max_ranges:
            self._ranges = None

    def give_up(self) -> None:
        """Tells no number any more: that of some row is not known."""
        self._ranges = None

    @property
    def text(self) -> str | None:
        """The ranges, as in 1-20,25; None when they were given up."""
        return None if self._ranges is None else str(self._ranges)


def _is_row_number(text: str) -> bool:
    # Only one spelling of a number counts: `7` and `07` are different ids.
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MAX_DIGITS
