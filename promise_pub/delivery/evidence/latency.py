"""Latency of publisher confirms, in constant memory."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Self

from promise_pub.records import ConfirmLatency

_GROWTH = math.log(1.02)  # a bucket is 2 % wide, so a percentile is at most 2 % off
_FLOOR = 0.01  # milliseconds; anything quicker counts as this


class LatencyHistogram:
    """Histogram of milliseconds in buckets that grow by 2 %; the maximum and the sum are exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = 0.0
        self.sum = 0.0  # milliseconds

    def add(self, milliseconds: float, count: int) -> None:
        """Adds `count` confirms that took this long."""
        self._buckets[_bucket(milliseconds)] += count
        self._max = max(self._max, milliseconds)
        self.sum += milliseconds * count

    def merge(self, other: Self) -> None:
        """Adds the counts of another histogram."""
        self._buckets.update(other._buckets)
        self._max = max(self._max, other._max)
        self.sum += other.sum

    def up_to(self, bounds: Sequence[float]) -> list[int]:
        """Returns for each of these bounds, ascending milliseconds, how many were at most that; up to 2 % over counts in."""
        buckets = sorted(self._buckets)
        counts = [0, *accumulate(self._buckets[bucket] for bucket in buckets)]
        return [counts[bisect_right(buckets, _bucket(bound))] for bound in bounds]

    @property
    def count(self) -> int:
        return self._buckets.total()

    def copy(self) -> Self:
        copied = type(self)()
        copied._buckets, copied._max = Counter(self._buckets), self._max
        copied.sum = self.sum
        return copied

    def since(self, earlier: Self) -> Self:
        """Returns what was added since an earlier copy. Its maximum is that of all."""
        recent = self.copy()
        recent._buckets.subtract(earlier._buckets)
        recent._buckets = +recent._buckets
        recent.sum -= earlier.sum
        return recent

    def summary(self) -> ConfirmLatency | None:
        """Returns the percentiles, or None while nothing was counted."""
        if not self._buckets:
            return None
        p50, p95, p99 = (self._percentile(share) for share in (0.50, 0.95, 0.99))
        return ConfirmLatency(p50=p50, p95=p95, p99=p99, max=self._max)

    def _percentile(self, share: float) -> float:
        wanted, seen = share * self._buckets.total(), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_FLOOR * math.exp(bucket * _GROWTH), self._max)
        return self._max


def _bucket(milliseconds: float) -> int:
    return math.ceil(math.log(max(milliseconds, _FLOOR) / _FLOOR) / _GROWTH)
