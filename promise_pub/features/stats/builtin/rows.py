"""Statistics about what becomes of the rows of runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType

from promise_pub.statistics import Amount, Buckets, Counting, Event, Measuring

_MOVED = ("#.run.progress", "#.run.ended")


class Rows(Counting):
    """Rows by what became of them, as they did: a session that is lost takes some back, so that the sums are those of the runs."""

    name, columns, topics, own = "rows", ("fate",), _MOVED, True
    # A row that is saved was read, too.
    layout = MappingProxyType({"chart": "lines"})

    def count(self, event: Event) -> Iterator[Amount]:
        for fate, number in event.data["rows"].items():
            yield Amount(fate, number)


class ConfirmLatency(Measuring):
    """The time from writing a row to its publisher confirm, of all rows, by the mode of their runs."""

    name, columns, unit = "confirm-latency", ("mode",), "ms"
    topics, own, intervals = _MOVED, True, (timedelta(hours=1), timedelta(days=1))

    def measure(self, event: Event) -> Iterator[Buckets]:
        # Versions of promise-pub before this statistic told no mode while a run went on.
        yield Buckets(
            event.data.get("mode", "unknown"), {int(bucket): count for bucket, count in event.data["latency"].items()}
        )


class Resends(Counting):
    """Times that runs which completed had to publish rows again, by the reason."""

    name, columns = "resends", ("reason",)
    topics, own, intervals = ("#.run.ended",), True, (timedelta(days=1),)

    def count(self, event: Event) -> Iterator[str]:
        # A run that ends otherwise may be resumed, and tells all of its resends again.
        if event.data["state"] == "completed":
            yield from (resend["reason"] for resend in event.data["resends"])
