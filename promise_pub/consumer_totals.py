"""Counts of rows as a consumer reports them, added up over the sessions of a run. Pure.

Every face of a run reads these sums from `RunReport.totals`; a session's own counts are only what that session said last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Self

_COUNTS = attrgetter("received", "saved", "repeats", "unusable")


@dataclass(frozen=True, slots=True)
class ConsumerTotals:
    """Rows received, saved, not saved because they repeat others, and of no use. None means "not reported", never zero."""

    received: int | None = None
    saved: int | None = None
    repeats: int | None = None
    unusable: int | None = None

    @classmethod
    def add_up(cls, parts: Iterable[Self | None]) -> Self:
        """Returns the sums of the parts there are. One is None where a part does not report it, all are where there is
        no part."""
        columns = zip(*map(_COUNTS, filter(None, parts)), strict=True)
        return cls(*(None if None in column else sum(column) for column in columns))

    def within(self, first: int, last: int, repeat_rows: str | None, unusable_rows: str | None) -> Self:
        """Returns the part of a session's counts that is about the rows `first` to `last`, which it is done with.

        Exact where the session tells the numbers of the rows that it did not save. Without them it is taken to have
        saved as many of these rows as it can have; rows of no use are never left out, and may be counted once more in
        the session that got them again.
        """
        rows = last - first + 1
        repeats, unusable = _count(repeat_rows, first, last), _count(unusable_rows, first, last)
        rest = rows - (repeats or 0) - (unusable or 0)
        saved = None if self.saved is None else min(self.saved, rest)
        if repeats is None and self.repeats is not None:
            repeats = min(self.repeats, rest - (saved or 0))
        if unusable is None and self.unusable is not None:
            unusable = min(self.unusable, rows)
        return type(self)(rows, saved, repeats, unusable)


# A run may have a hundred sessions that ended before it, each with two lists of a thousand characters, and a page asks
# dozens of times for its sums.
@lru_cache(maxsize=2_048)
def _count(ranges: str | None, first: int, last: int) -> int | None:
    """Counts the numbers from `first` to `last` in ranges as in 1-20,25. None of None."""
    if ranges is None:
        return None
    pairs = (piece.partition("-") for piece in ranges.split(",") if piece)
    return sum(max(0, min(int(high or low), last) - max(int(low), first) + 1) for low, _, high in pairs)
