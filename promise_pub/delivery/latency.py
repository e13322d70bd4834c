"""How long publisher confirms took, in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from typing import Self

from promise_pub.records import ConfirmLatency

_GROWTH = math.log(1.02)  # a bucket is 2 % wide, so a percentile is at most 2 % off
_FLOOR = 0.01  # milliseconds; anything quicker counts as this


class LatencyHistogram:
    """Counts milliseconds in buckets that grow by 2 %; the maximum is exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = 0.0

    def add(self, milliseconds: float, count: int) -> None:
        """`count` confirms took this long."""
        self._buckets[math.ceil(math.log(max(milliseconds, _FLOOR) / _FLOOR) / _GROWTH)] += count
        self._max = max(self._max, milliseconds)

    def copy(self) -> Self:
        """As it is now."""
        copied = type(self)()
        copied._buckets, copied._max = Counter(self._buckets), self._max
        return copied

    def since(self, earlier: Self) -> Self:
        """What was added since an earlier copy. Its maximum is that of all."""
        recent = self.copy()
        recent._buckets.subtract(earlier._buckets)
        recent._buckets = +recent._buckets
        return recent

    def summary(self) -> ConfirmLatency | None:
        """The percentiles, or None while nothing was counted."""
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
