"""Sets of row numbers, mostly consecutive, kept as ranges."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress
from operator import le, lt
from typing import Self

_WRITTEN = re.compile(r"(?:\d{1,18}(?:-\d{1,18})?(?:,\d{1,18}(?:-\d{1,18})?)*)?")
_AFTER_ALL = 1 << 62


RANGES_SHOWN = 1_000
"""Ranges of rows that were lost or are unconfirmed, in what people and scripts are told of a run."""


def shorten_ranges(text: str, most: int = RANGES_SHOWN) -> str:
    """Cuts a text of ranges as `RowRanges.shortened` does. One that was cut stays as it is."""
    pieces = text.split(",", most)
    return (
        text if len(pieces) <= most or " " in text else _with_more(",".join(pieces[:most]), pieces[most].count(",") + 1)
    )


def _with_more(shown: str, more: int) -> str:
    return f"{shown} and {more:,} more {'range' if more == 1 else 'ranges'}"


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
    def _of_bounds(cls, firsts: list[int], lasts: list[int]) -> Self:
        ranges = cls()
        ranges._firsts, ranges._lasts = firsts, lasts
        ranges._count = sum(lasts) - sum(firsts) + len(firsts)
        return ranges

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` writes. Raises ValueError for anything else, and where ranges are not in order."""
        if not _WRITTEN.fullmatch(text):
            raise ValueError(f"{text[:50]!r} is not a list of ranges")
        pieces = text.split(",") if text else []
        pairs = [piece.partition("-") for piece in pieces]
        firsts, lasts = [int(low) for low, _, _ in pairs], [int(high or low) for low, _, high in pairs]
        if not (all(map(le, firsts, lasts)) and all(map(lt, lasts, firsts[1:]))):
            raise ValueError(f"{text[:50]!r} is out of order")
        return cls._of_bounds(firsts, lasts)

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

    def between(self, first: int, last: int) -> RowRanges:
        """Returns the numbers from `first` to `last`. Costs no more than the ranges that it returns."""
        start, end = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        if start >= end or first > last:
            return RowRanges()
        firsts, lasts = self._firsts[start:end], self._lasts[start:end]
        firsts[0], lasts[-1] = max(firsts[0], first), min(lasts[-1], last)
        return self._of_bounds(firsts, lasts)

    def up_to(self, number: int) -> RowRanges:
        """Returns the numbers up to `number`."""
        return self.between(0, number)

    def missing(self, first: int, last: int) -> RowRanges:
        """Returns the numbers from `first` to `last` that are not in the set."""
        inside = self.between(first, last)
        firsts = [first, *[high + 1 for high in inside._lasts]]
        lasts = [*[low - 1 for low in inside._firsts], last]
        gaps = [*map(le, firsts, lasts)]
        return self._of_bounds([*compress(firsts, gaps)], [*compress(lasts, gaps)])

    def without(self, other: RowRanges) -> RowRanges:
        """Returns the numbers that are not in `other`, in one pass over those ranges of both that are near one another."""
        if not self or not other:
            return self._of_bounds(self._firsts[:], self._lasts[:])
        low, high = other._firsts[0], other._lasts[-1]
        before, near, after = self.between(0, low - 1), self.between(low, high), self.between(high + 1, _AFTER_ALL)
        if near.pieces == 1:
            near = other.missing(near._firsts[0], near._lasts[0])
        elif near:
            near = near._subtract(other.between(near._firsts[0], near._lasts[-1]))
        firsts = before._firsts + near._firsts + after._firsts
        return self._of_bounds(firsts, before._lasts + near._lasts + after._lasts)

    def _subtract(self, other: RowRanges) -> RowRanges:
        firsts, lasts, at = list[int](), list[int](), 0
        lows, highs = [*other._firsts, _AFTER_ALL], [*other._lasts, _AFTER_ALL]
        for first, last in self:
            while highs[at] < first:
                at += 1
            while lows[at] <= last:
                if first < lows[at]:
                    firsts.append(first)
                    lasts.append(lows[at] - 1)
                first = highs[at] + 1
                # What is taken may reach into the next range.
                if first > last:
                    break
                at += 1
            if first <= last:
                firsts.append(first)
                lasts.append(last)
        return self._of_bounds(firsts, lasts)

    def within(self, other: RowRanges) -> RowRanges:
        """Returns the numbers that are in `other` as well."""
        near = self.between(other._firsts[0], other._lasts[-1]) if other else other
        return near.without(other.missing(near._firsts[0], near._lasts[-1])) if near else RowRanges()

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
        return _with_more(self._text(ranges), more)

    def _text(self, ranges: int) -> str:
        pairs = zip(self._firsts[:ranges], self._lasts[:ranges], strict=True)
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs)
