"""Counts over a stream of events: of each URL, and of each value that events share. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum, auto
from operator import attrgetter
from typing import NamedTuple

from promise_pub.features.events.reports.places import PlaceCount
from promise_pub.features.events.reports.records import DatedEvent


class By(StrEnum):
    """A field that events are counted by."""

    TYPE = auto()
    LABEL = auto()
    KIND = auto()
    HOST = auto()
    USER = auto()


class ValueCount(NamedTuple):
    """A value of a field, None for none, and the number of its events."""

    value: str | None
    events: int


def count_places(events: Iterable[DatedEvent]) -> Sequence[PlaceCount]:
    """Counts events by URL. It keeps every different one."""
    return [PlaceCount(url, number) for url, number in Counter(event.url for event in events if event.url).items()]


def count_values(events: Iterable[DatedEvent], by: By) -> Sequence[ValueCount]:
    """Counts events by a field: values of most events first, then by name. Events without a value are counted as well."""
    counts: Counter[str | None] = Counter(map(attrgetter(by.value), events))
    return [
        ValueCount(value, number)
        for value, number in sorted(counts.items(), key=lambda one: (-one[1], one[0] is not None, one[0] or ""))
    ]
