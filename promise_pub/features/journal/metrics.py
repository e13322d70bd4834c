"""Metrics of the journal."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from promise_pub.features.journal.bus.publishing import BusPublisher
from promise_pub.features.journal.bus.taking import BusTaker
from promise_pub.features.journal.keeping import JournalKeeper
from promise_pub.http.ops.metrics import gauge

_FATES = ("taken", "added", "known", "refused", "own", "without_id", "cut", "headers_cut")


class JournalCollector(Collector):
    """Events that this server moved, and the numbers of the journal as it saw them last."""

    def __init__(self, keeper: JournalKeeper, taker: BusTaker | None, publisher: BusPublisher | None) -> None:
        self._keeper = keeper
        self._taker = taker
        self._publisher = publisher

    def collect(self) -> Iterable[Metric]:
        yield _counter("drained", "Own events moved from the outbox to the journal.", self._keeper.drained)
        if head := self._keeper.head:
            yield gauge("journal_last_event", "The number of the last event.", head.seq)
            yield gauge("journal_oldest_event", "The number of the oldest event that is kept.", head.oldest)
        if self._taker:
            taken = CounterMetricFamily(
                "promise_pub_journal_bus_events",
                "Messages taken from the bus, by what became of them.",
                labels=["fate"],
            )
            counts = self._taker.counts
            for fate in _FATES:
                taken.add_metric([fate], getattr(counts, fate))
            yield taken
        if self._publisher:
            yield _counter("published", "Own events confirmed on the bus.", self._publisher.published)
            if head:
                yield gauge(
                    "journal_unpublished_events",
                    "Events not looked at yet by what publishes on the bus.",
                    head.seq - head.published,
                )


def _counter(what: str, words: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"promise_pub_journal_{what}_events", words, value=value)
