"""Sets of row numbers that mostly stand in runs, kept as ranges."""

from __future__ import annotations

from bisect import bisect_right


class RowRanges:
    """Row numbers as disjoint, ordered ranges: a million returned rows in a row cost one pair.

    `len` is how many numbers, `str` is them as people write them: `1-20,25`.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __str__(self) -> str:
        return self._text(len(self._firsts))

    def add(self, number: int) -> bool:
        """Adds one number; False if it was there. In ascending order it costs the same however many there are."""
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
        """At most so many ranges, and how many more there are."""
        more = len(self._firsts) - ranges
        if more <= 0:
            return self._text(ranges)
        return f"{self._text(ranges)} and {more:,} more {'range' if more == 1 else 'ranges'}"

    def _text(self, ranges: int) -> str:
        pairs = zip(self._firsts[:ranges], self._lasts[:ranges], strict=True)
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs)
