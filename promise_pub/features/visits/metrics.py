"""Metrics of page hits."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from promise_pub.features.visits.recorder import Recorder
from promise_pub.http.ops.metrics import gauge


class HitCollector(Collector):
    """Page hits of this server, by what became of them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterable[Metric]:
        recorded = self._recorder.recorded
        hits = CounterMetricFamily(
            "promise_pub_page_hits", "Pages that were shown and recorded, by fate of the record.", labels=["fate"]
        )
        hits.add_metric(["written"], recorded.written)
        hits.add_metric(["lost"], recorded.lost)
        yield hits
        yield gauge("page_hits_waiting", "Hits that wait to be written to the database.", recorded.waiting)
