"""Events as statistics are given them, all the same ones. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import timedelta
from functools import cached_property
from operator import attrgetter
from typing import Self

from promise_pub import event_records
from promise_pub.features.stats.intervals import EARLIEST, ORIGIN
from promise_pub.json_text import freeze_json
from promise_pub.statistics import Event, words_of

_SECOND = timedelta(seconds=1)


class Batch(tuple[Event, ...]):
    """Events in the order of their numbers, each once, with what all statistics need of them: it is made once."""

    def __new__(cls, events: Iterable[Event]) -> Self:
        newest, once = 0, []
        for event in events:
            if event.seq > newest:
                newest = event.seq
                once.append(event)
        return super().__new__(cls, once)

    def after(self, position: int) -> Batch:
        """Returns the events that follow this number."""
        first = bisect_right(self, position, key=attrgetter("seq"))
        return Batch(self[first:]) if first else self

    def select(self, matches: Callable[[str], bool], own: bool, width: int) -> Iterable[tuple[Event, int]]:
        """Returns the events whose topic matches, with `own` only those of promise-pub itself; each with the number of the
        window that it lies in, as `index_of` gives it, 0 for all time."""
        topics = {topic for topic in self._topics if matches(topic)}
        if not topics:
            return ()
        placed = zip(self, self._places(width), strict=True)
        if len(topics) == len(self._topics) and not own:
            return placed
        return (
            (event, place) for event, place in placed if event.topic in topics and (event.source == "own" or not own)
        )

    def _places(self, width: int) -> Sequence[int]:
        if width not in self._known_places:
            self._known_places[width] = [second // width if width else 0 for second in self._seconds]
        return self._known_places[width]

    @cached_property
    def _topics(self) -> Set[str]:
        return {event.topic for event in self}

    @cached_property
    def _seconds(self) -> Sequence[int]:
        return [(event.at - ORIGIN) // _SECOND for event in self]

    @cached_property
    def _known_places(self) -> dict[int, Sequence[int]]:
        return {}


def as_given(event: event_records.Event, category: int) -> Event:
    """Returns an event of the journal as statistics are given it; `category` says which word of a topic is its category."""
    words = words_of(event.topic)
    # By their places: each event is made once, and with names that takes three times as long.
    return Event(
        event.seq,
        max(event.at, EARLIEST),
        event.received_at,
        event.source,
        event.topic,
        words[category] if category < len(words) else "",
        event.sender,
        event.subject,
        freeze_json(event.headers),
        event.body,
    )
