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


class RecentLatency:
    """The gain of a run's histogram since the last look. A run has a new one in each session."""

    def __init__(self, histogram: LatencyHistogram | None = None) -> None:
        """Leaves out what `histogram` holds already."""
        self._histogram = histogram
        self._seen = histogram.copy() if histogram else LatencyHistogram()

    def take(self, histogram: LatencyHistogram) -> LatencyHistogram:
        """Returns what the histogram gained since it was taken last; of another than that, all."""
        if histogram is not self._histogram:
            self._histogram, self._seen = histogram, LatencyHistogram()
        recent = histogram.since(self._seen)
        self._seen = histogram.copy()
        return recent
