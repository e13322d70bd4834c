"""Metrics of page hits."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from promise_pub.features.visits.hit_buffer import HitBuffer
from promise_pub.http.ops.metrics import gauge


class HitCollector(Collector):
    """Page hits of this server by their fate."""

    def __init__(self, buffer: HitBuffer) -> None:
        self._buffer = buffer

    def collect(self) -> Iterable[Metric]:
        counts = self._buffer.counts
        hits = CounterMetricFamily(
            "promise_pub_page_hits", "Pages that were shown, by fate of the record.", labels=["fate"]
        )
        hits.add_metric(["written"], counts.written)
        hits.add_metric(["lost"], counts.lost)
        hits.add_metric(["limited"], counts.limited)
        yield hits
        yield gauge("page_hits_waiting", "Hits that wait to be written to the database.", counts.waiting)
