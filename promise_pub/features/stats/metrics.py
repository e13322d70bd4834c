"""Metrics of statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Counting(Protocol):
    """The one that counts, with numbers of each statistic by its name; none while another server counts."""

    @property
    def behind(self) -> Mapping[str, int]: ...

    @property
    def left_out(self) -> Mapping[str, int]: ...

    @property
    def seconds(self) -> Mapping[str, float]: ...


class StatsCollector(Collector):
    """Tells how far this server has counted, without asking the database."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def collect(self) -> Iterable[Metric]:
        behind = GaugeMetricFamily(
            "promise_pub_stats_behind_events", "Events that a statistic has still to count.", labels=["statistic"]
        )
        left_out = CounterMetricFamily(
            "promise_pub_stats_left_out", "Events that a statistic failed at.", labels=["statistic"]
        )
        seconds = CounterMetricFamily(
            "promise_pub_stats_fold_seconds", "Seconds that a statistic took to count events.", labels=["statistic"]
        )
        counting = self._counting
        for family, values in ((behind, counting.behind), (left_out, counting.left_out), (seconds, counting.seconds)):
            for name in sorted(values):
                family.add_metric([name], values[name])
            yield family
