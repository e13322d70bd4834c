"""Statistics to try, one of each kind and some that misbehave; and events for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from promise_pub.features.stats.definitions import Definition, define
from promise_pub.features.stats.records import Registered
from promise_pub.statistics import WHOLE, Amount, Buckets, Counting, Distinct, Event, Latest, Measuring

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_WIDTHS = (timedelta(minutes=1), timedelta(seconds=90), timedelta(hours=1), WHOLE)


def event(seq: int, topic: str = "a.b", at: datetime = NOON, **values: Any) -> Event:
    """Returns an event as statistics are given it."""
    others = {"source": "bus", "category": "a", "sender": None, "subject": None, "headers": {}, "body": b"{}"}
    return Event(**{**others, "seq": seq, "topic": topic, "at": at, "received_at": at, **values})


def registered(definition: Definition, **values: Any) -> Registered:
    """Returns a statistic as the database has it; nothing of it is counted yet."""
    return Registered(**{"id": 7, "layout": definition.layout, "counted_from": 1, "position": 0, **values})


class Count(Counting):
    """Events by topic, and twice the length of it."""

    name, columns, intervals = "count", ("kind", "topic"), _WIDTHS

    def count(self, event: Event) -> Iterator[tuple[str, ...] | Amount]:
        yield "once", event.topic
        yield Amount(("length", event.topic), len(event.topic) - 4)
        yield Amount(("length", event.topic), len(event.topic) - 4)


class Measure(Measuring):
    """Lengths by category."""

    name, columns, intervals = "measure", ("category",), _WIDTHS

    def measure(self, event: Event) -> Iterator[tuple[str, float] | Buckets]:
        yield event.category, len(event.topic) + 0.1
        yield Buckets("made", {len(event.topic): 2})


class Newest(Latest):
    """The newest body of each topic."""

    name, columns = "newest", ("topic",)

    def entry(self, event: Event) -> Iterator[tuple[str, Any]]:
        yield event.topic, event.data


class Members(Distinct):
    """About how many topics of each category."""

    name, columns, intervals = "members", ("category",), _WIDTHS

    def members(self, event: Event) -> Iterator[tuple[str, str]]:
        yield event.category, event.topic


ALL = tuple(define(plugin) for plugin in (Count, Measure, Newest, Members))
"""One of each kind."""
