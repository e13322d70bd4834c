"""Metrics of runs, looked up at each scrape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from promise_pub.delivery.queue.runs import Runs
from promise_pub.http.ops.metrics import gauge
from promise_pub.records import State, Verdict
from promise_pub.samples import Sample

# Seconds.
CONFIRM_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RATE_PERIOD = 1.0  # seconds of a run's work, at least, that its rate is an average of

_ENDINGS: Sequence[tuple[State, Verdict | None]] = [
    *((State.COMPLETED, verdict) for verdict in Verdict),
    *((state, None) for state in (State.FAILED, State.CANCELLED, State.INTERRUPTED)),
]


class RunCollector(Collector):
    """Runs that ended, rows by what became of them, and the run in progress."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def collect(self) -> Iterable[Metric]:
        totals, current = self._runs.totals, self._runs.current
        ended = CounterMetricFamily(
            "promise_pub_runs_ended", "Runs that ended, by state and verdict.", labels=["state", "verdict"]
        )
        for state, verdict in _ENDINGS:
            ended.add_metric([state.value, verdict.value if verdict else "none"], totals.ended[state, verdict])
        rows = CounterMetricFamily(
            "promise_pub_rows",
            "Rows by fate: in the file, at the broker, and, by its own report, at the consumer.",
            labels=["fate"],
        )
        for fate, count in totals.rows().items():
            rows.add_metric([fate], count)
        yield from (
            ended,
            rows,
            self._confirm_latency(),
            gauge("runs_waiting", "Runs that wait for their turn.", self._runs.waiting),
            gauge("runs_going", "1 while a run is in progress.", current is not None),
            gauge(
                "run_blocked",
                "1 while the broker does not read what the run publishes.",
                current is not None and current.blocked,
            ),
            gauge(
                "publish_rows_per_second",
                "Rows per second that the run publishes now.",
                publish_rate(current.timeline.samples if current else ()),
            ),
        )

    def _confirm_latency(self) -> Metric:
        """Returns the histogram of confirms. Its sum is exact; a confirm up to 2 % over a bound may count below it."""
        latency = self._runs.totals.latency()
        counts = latency.up_to([bound * 1000 for bound in CONFIRM_BUCKETS])
        buckets = [(str(bound), float(count)) for bound, count in zip(CONFIRM_BUCKETS, counts, strict=True)]
        return HistogramMetricFamily(
            "promise_pub_confirm_latency_seconds",
            "From writing a row to its publisher confirm.",
            buckets=[*buckets, ("+Inf", float(latency.count))],
            sum_value=latency.sum / 1000,
        )


def publish_rate(samples: Sequence[Sample]) -> float:
    """Returns rows published per second over the last RATE_PERIOD of a run's work, as nearly as the samples tell."""
    if len(samples) < 2:
        return 0.0
    last = samples[-1]
    first = next((one for one in samples[-2::-1] if last.at - one.at >= RATE_PERIOD), samples[0])
    return (last.published - first.published) / (last.at - first.at) if last.at > first.at else 0.0
