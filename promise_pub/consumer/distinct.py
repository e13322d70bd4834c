"""Recognises message ids that were received before, in bounded memory. No I/O."""

from __future__ import annotations

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

    def add(self, message_id: str) -> bool:
        """Remembers an id; False if it was known."""
        run, colon, number = message_id.rpartition(":")
        if not (colon and _is_row_number(number)):
            return self._add_foreign(message_id)
        ranges = self._runs.get(run)
        if ranges is None:
            if len(self._runs) == MAX_RUNS:
                return self._add_foreign(message_id)
            ranges = self._runs[run] = RowRanges()
        return ranges.add(int(number))

    def rows(self, max_ranges: int) -> str | None:
        """Returns the row numbers as ranges; None when they belong to several runs, or make too many ranges."""
        if self._foreign or len(self._runs) > 1:
            return None
        ranges = next(iter(self._runs.values()), RowRanges())
        return str(ranges) if ranges.pieces <= max_ranges else None

    def _add_foreign(self, message_id: str) -> bool:
        if message_id in self._foreign:
            return False
        if len(self._foreign) == MAX_FOREIGN:
            del self._foreign[next(iter(self._foreign))]
        self._foreign[message_id] = None
        return True


def _is_row_number(text: str) -> bool:
    # Only one spelling of a number counts: `7` and `07` are different ids.
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MAX_DIGITS
