"""Latency of publisher confirms."""

from __future__ import annotations

from promise_pub.histogram import Histogram
from promise_pub.records import ConfirmLatency


class LatencyHistogram(Histogram):
    """The time from writing a row to its confirm, in milliseconds."""

    def summary(self) -> ConfirmLatency | None:
        """Returns the percentiles, or None while nothing was counted."""
        if not self.count:
            return None
        p50, p95, p99 = (self.percentile(share) for share in (0.50, 0.95, 0.99))
        return ConfirmLatency(p50=p50, p95=p95, p99=p99, max=self.max)
