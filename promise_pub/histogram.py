"""A histogram in constant memory: its buckets grow by 2 %. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Self

_GROWTH = math.log(1.02)  # a bucket is 2 % wide, so a percentile is at most 2 % off
_FLOOR = 0.01  # anything smaller counts as this


class Histogram:
    """Counts of positive numbers in buckets that grow by 2 %; the maximum and the sum are exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.max = 0.0
        self.sum = 0.0

    def add(self, value: float, count: int) -> None:
        """Counts a value `count` times."""
        self._buckets[bucket_of(value)] += count
        self.max = max(self.max, value)
        self.sum += value * count

    def merge(self, other: Self) -> None:
        """Adds the counts of another histogram."""
        self._buckets.update(other._buckets)
        self.max = max(self.max, other.max)
        self.sum += other.sum

    def up_to(self, bounds: Sequence[float]) -> list[int]:
        """Returns for each of these ascending bounds the number of values up to it; those up to 2 % over it may count."""
        buckets = sorted(self._buckets)
        counts = [0, *accumulate(self._buckets[bucket] for bucket in buckets)]
        return [counts[bisect_right(buckets, bucket_of(bound))] for bound in bounds]

    def buckets(self) -> dict[int, int]:
        """Returns the counts by bucket; bucket b holds values up to 0.01 · 1.02^b, and over those of the one before."""
        return dict(self._buckets)

    @property
    def count(self) -> int:
        return self._buckets.total()

    def copy(self) -> Self:
        copied = type(self)()
        copied._buckets, copied.max = Counter(self._buckets), self.max
        copied.sum = self.sum
        return copied

    def since(self, earlier: Self) -> Self:
        """Returns what was added since an earlier copy. Its maximum is that of all."""
        recent = self.copy()
        recent._buckets.subtract(earlier._buckets)
        recent._buckets = +recent._buckets
        recent.sum -= earlier.sum
        return recent

    def percentile(self, share: float) -> float:
        """Returns the value that this share of all values does not exceed, at most 2 % off; 0 while there are none."""
        return percentile_of(self._buckets, share, self.max)


def percentile_of(buckets: Mapping[int, int], share: float, most: float) -> float:
    """Returns the value that this share of all values does not exceed, given counts by bucket and the greatest value."""
    wanted, seen = share * sum(buckets.values()), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return min(upper_bound(bucket), most)
    return most


def upper_bound(bucket: int) -> float:
    """Returns the greatest value that a bucket holds."""
    return _FLOOR * math.exp(bucket * _GROWTH)


def bucket_of(value: float) -> int:
    """Returns the bucket that holds a value."""
    return math.ceil(math.log(max(value, _FLOOR) / _FLOOR) / _GROWTH)
