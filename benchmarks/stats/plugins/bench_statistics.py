"""Statistics of the events that are measured: with the four of promise-pub that count them, ten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promise_pub.statistics import Counting, Event, Key, Measuring


class _ByWord(Counting):
    """Events by a word of their topic."""

    name, columns = "bench-by-word", ("word",)

    def count(self, event: Event) -> Iterable[Key]:
        yield event.words[-1]


class _BySource(Counting):
    """Events by the party that vouches for them."""

    name, columns = "bench-by-source", ("source",)

    def count(self, event: Event) -> Iterable[Key]:
        yield event.source


class _BySender(Counting):
    """Events by sender and topic."""

    name, columns = "bench-by-sender-and-topic", ("sender", "topic")

    def count(self, event: Event) -> Iterable[Key]:
        yield event.sender or "", event.topic


class _ByDigit(Counting):
    """Events by the last digit of the number in their bodies."""

    name, columns = "bench-by-digit", ("digit",)

    def count(self, event: Event) -> Iterable[Key]:
        yield str(event.data["number"] % 10)


class _ByHeader(Counting):
    """Events by a header."""

    name, columns = "bench-by-header", ("kind",)

    def count(self, event: Event) -> Iterable[Key]:
        yield str(event.headers.get("subject-kind"))


class _Sizes(Measuring):
    """Sizes of bodies."""

    name, unit = "bench-sizes", "bytes"

    def measure(self, event: Event) -> Iterable[tuple[Key, float]]:
        yield (), float(len(event.body))


STATISTICS: Sequence[type[Counting] | type[Measuring]] = (_ByWord, _BySource, _BySender, _ByDigit, _ByHeader, _Sizes)
