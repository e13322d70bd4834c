"""Which message ids came before, in bounded memory. No I/O."""

from __future__ import annotations

from promise_pub.delivery.evidence.ranges import RowRanges

MAX_RUNS = 16  # a session belongs to one run; more are somebody else's, and kept as foreign ids
MAX_FOREIGN = 100_000  # ids; about 10 MB
_MAX_DIGITS = 18  # of a row number: what fits into 63 bits


class DistinctIds:
    """The message ids of one session.

    Ids of the form `{run id}:{row number}` cost memory by gaps between the numbers, not by rows. Of all other ids the
    newest 100,000 are remembered: one that comes again after more than that passes for new.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RowRanges] = {}
        self._foreign: dict[str, None] = {}

    def add(self, message_id: str) -> bool:
        """Remembers an id; False if it was there."""
        run, colon, number = message_id.rpartition(":")
        if not (colon and _is_row_number(number)):
            return self._add_foreign(message_id)
        ranges = self._runs.get(run)
        if ranges is None:
            if len(self._runs) == MAX_RUNS:
                return self._add_foreign(message_id)
            ranges = self._runs[run] = RowRanges()
        return ranges.add(int(number))

    def rows(self, most: int) -> str | None:
        """The row numbers, as ranges; None when they are not of one run alone, or stand in more ranges than `most`."""
        if self._foreign or len(self._runs) > 1:
            return None
        ranges = next(iter(self._runs.values()), RowRanges())
        return str(ranges) if ranges.pieces <= most else None

    def _add_foreign(self, message_id: str) -> bool:
        if message_id in self._foreign:
            return False
        if len(self._foreign) == MAX_FOREIGN:
            del self._foreign[next(iter(self._foreign))]
        self._foreign[message_id] = None
        return True


def _is_row_number(text: str) -> bool:
    """Only one spelling of a number counts: `7` and `07` are different ids."""
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MAX_DIGITS
