"""Statistics about events of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from promise_pub.statistics import Counting, Event


class Volume(Counting):
    """Events."""

    name = "volume"

    def count(self, event: Event) -> Iterator[tuple[()]]:
        yield ()


class VolumeByCategory(Counting):
    """Events by the category of their topic."""

    name, columns = "volume-by-category", ("category",)

    def count(self, event: Event) -> Iterator[str]:
        yield event.category


class VolumeByTopic(Counting):
    """Events by topic."""

    name, columns = "volume-by-topic", ("topic",)

    def count(self, event: Event) -> Iterator[str]:
        yield event.topic


class Senders(Counting):
    """Events by sender."""

    name, columns, intervals = "senders", ("sender",), (timedelta(hours=1), timedelta(days=1))

    def count(self, event: Event) -> Iterator[str]:
        yield event.sender or ""
