"""Sets of row numbers, mostly consecutive, kept as ranges."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Self

_WRITTEN = re.compile(r"(?:\d{1,18}(?:-\d{1,18})?(?:,\d{1,18}(?:-\d{1,18})?)*)?")


class RowRanges:
    """Row numbers as disjoint, ordered ranges: a million consecutive rows cost one pair.

    `len` counts the numbers, `str` writes them as people do: `1-20,25`.
    """

    def __init__(self, pairs: list[tuple[int, int]] | None = None) -> None:
        """`pairs` are disjoint and ascending: (first, last)."""
        self._firsts = [first for first, _ in pairs or ()]
        self._lasts = [last for _, last in pairs or ()]
        self._count = sum(last - first + 1 for first, last in pairs or ())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` writes. Raises ValueError for anything else, and where ranges are not in order."""
        if not _WRITTEN.fullmatch(text):
            raise ValueError(f"{text[:50]!r} is not a list of ranges")
        pairs, before = [], -1
        for piece in text.split(",") if text else ():
            low, dash, high = piece.partition("-")
            first = last = int(low)
            if dash:
                last = int(high)
            if not before < first <= last:
                raise ValueError(f"{piece!r} is out of order")
            pairs.append((first, last))
            before = last
        return cls(pairs)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """Makes the set of these numbers, which ascend."""
        pairs: list[tuple[int, int]] = []
        for number in numbers:
            if pairs and number == pairs[-1][1] + 1:
                pairs[-1] = (pairs[-1][0], number)
            else:
                pairs.append((number, number))
        return cls(pairs)

    def __len__(self) -> int:
        return self._count

    @property
    def pieces(self) -> int:
        """Number of ranges."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __str__(self) -> str:
        return self._text(len(self._firsts))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yields the ranges as pairs, first and last, ascending."""
        return zip(self._firsts, self._lasts, strict=True)

    def missing(self, first: int, last: int) -> RowRanges:
        """Returns the numbers from `first` to `last` that are not in the set."""
        gaps, at = [], first
        for place in range(bisect_right(self._lasts, first - 1), len(self._lasts)):
            low, high = self._firsts[place], self._lasts[place]
            if low > last:
                break
            if low > at:
                gaps.append((at, low - 1))
            at = max(at, high + 1)
        if at <= last:
            gaps.append((at, last))
        return RowRanges(gaps)

    def without(self, other: RowRanges) -> RowRanges:
        """Returns the numbers that are not in `other`."""
        return RowRanges([gap for low, high in self for gap in other.missing(low, high)])

    def within(self, other: RowRanges) -> RowRanges:
        """Returns the numbers that are in `other` as well."""
        return self.without(self.without(other))

    def up_to(self, number: int) -> RowRanges:
        """Returns the numbers up to `number`."""
        whole = bisect_right(self._lasts, number)
        pairs = list(zip(self._firsts[:whole], self._lasts[:whole], strict=True))
        if whole < len(self._firsts) and self._firsts[whole] <= number:
            pairs.append((self._firsts[whole], number))
        return RowRanges(pairs)

    def add(self, number: int) -> bool:
        """Adds one number; False if it was there. In ascending order each costs the same, however many there are."""
        # Nearly every row follows the one before.
        if self._lasts and number == self._lasts[-1] + 1:
            self._lasts[-1] = number
            self._count += 1
            return True
        at = bisect_right(self._firsts, number)
        if at and number <= self._lasts[at - 1]:
            return False
        joins_left = at > 0 and self._lasts[at - 1] == number - 1
        joins_right = at < len(self._firsts) and self._firsts[at] == number + 1
        if joins_left and joins_right:
            self._lasts[at - 1] = self._lasts.pop(at)
            del self._firsts[at]
        elif joins_left:
            self._lasts[at - 1] = number
        elif joins_right:
            self._firsts[at] = number
        else:
            self._firsts.insert(at, number)
            self._lasts.insert(at, number)
        self._count += 1
        return True

    def shortened(self, ranges: int) -> str:
        """Writes at most this number of ranges, and how many more there are."""
        more = len(self._firsts) - ranges
        if more <= 0:
            return self._text(ranges)
        return f"{self._text(ranges)} and {more:,} more {'range' if more == 1 else 'ranges'}"

    def _text(self, ranges: int) -> str:
        pairs = zip(self._firsts[:ranges], self._lasts[:ranges], strict=True)
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs)
