"""The public protocol of statistics: what a plugin inherits from, is given and gives.

A statistic is a class. It is pure: an event in, values out; no database, no clock, no state. Its rows add up, or the newest
one wins, or sets unite, so that events in any order and in any batches make the same rows. Plugins are found as entry points
of the group `promise_pub.statistics`, each a class or a sequence of classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from promise_pub.json_text import freeze_json, parse_json

WHOLE = timedelta(0)
"""The interval of all time."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Key = str | tuple[str, ...]
"""A value for each column of a statistic; a bare text where it has one column, () where it has none."""


class Amount(NamedTuple):
    """A number to add to the count of a key; it may be negative."""

    key: Key
    number: int


class Buckets(NamedTuple):
    """Values that are counted in buckets already: bucket b holds values up to 0.01 · 1.02^b, and over those of b - 1."""

    key: Key
    counts: Mapping[int, int]


@dataclass(frozen=True)
class Event:
    """An event of the journal, as all statistics are given it: nothing of it can be changed.

    `seq` is its number; `at` is when it happened, `received_at` when it came, both in UTC; `source` who vouches for it: `own`,
    `bus`, `api` or `import`. `category` is one word of its topic, "" where that has fewer; `[bus] category` says which.
    """

    seq: int
    at: datetime
    received_at: datetime
    source: str
    topic: str
    category: str
    sender: str | None
    subject: str | None
    headers: Mapping[str, Any]
    body: bytes = field(repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its topic."""
        return words_of(self.topic)

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """Its body, where that is a JSON object; else {}. Objects are read-only mappings, arrays are tuples."""
        try:
            value = parse_json(self.body)
        except ValueError:
            return _NOTHING
        return freeze_json(value) if isinstance(value, dict) else _NOTHING


@lru_cache(10_000)
def words_of(topic: str) -> tuple[str, ...]:
    """Returns the words of a topic, remembered: events have few topics."""
    return tuple(topic.split("."))


class Statistic(ABC):
    """A statistic. The first line of its docstring is its summary.

    `name` has lower-case letters, digits and hyphens, 60 at most. A new `version` is counted anew, beside the older one, from
    the first event that is kept. `columns` name the parts of its keys, four at most. `intervals` are the widths of its
    windows, whole seconds each, or WHOLE. It is given events whose topic matches one of `topics`, patterns as AMQP has them,
    and with `own` only those that promise-pub itself vouches for. A new statistic begins with events that arrived at most
    `backlog` ago; None: with the first that is kept. `unit` is that of its values. `layout` is handed through to readers.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ()
    intervals: ClassVar[tuple[timedelta, ...]] = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
    topics: ClassVar[tuple[str, ...]] = ("#",)
    own: ClassVar[bool] = False
    backlog: ClassVar[timedelta | None] = None
    unit: ClassVar[str] = ""
    layout: ClassVar[Any] = None


class Counting(Statistic):
    """Counts by window and key."""

    @abstractmethod
    def count(self, event: Event) -> Iterable[Key | Amount]:
        """Gives each key that the event counts for once, or an Amount."""


class Measuring(Statistic):
    """Counts, means and percentiles of positive numbers by window and key; percentiles are at most 2 % off."""

    @abstractmethod
    def measure(self, event: Event) -> Iterable[tuple[Key, float] | Buckets]:
        """Gives a key with each value that the event has for it, or values in Buckets."""


class Latest(Statistic):
    """The newest entry of each key: that of the greatest time, and of the greatest number among equals."""

    @abstractmethod
    def entry(self, event: Event) -> Iterable[tuple[Key, Any]]:
        """Gives keys, each with its new value: any JSON."""


class Distinct(Statistic):
    """About how many different texts there are, by window and key; some 2 % off."""

    @abstractmethod
    def members(self, event: Event) -> Iterable[tuple[Key, str]]:
        """Gives keys, each with a text that belongs to it."""
