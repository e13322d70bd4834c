"""Events as statistics are given them, all the same ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property

from promise_pub import event_records
from promise_pub.features.stats.intervals import EARLIEST, ORIGIN
from promise_pub.json_text import freeze_json
from promise_pub.statistics import Event

_SECOND = timedelta(seconds=1)


class Batch(tuple[Event, ...]):
    """Events in the order of their numbers, with what all statistics need of them: it is made once."""

    @cached_property
    def _seconds(self) -> Sequence[int]:
        return [(event.at - ORIGIN) // _SECOND for event in self]

    def places(self, width: int) -> Sequence[int]:
        """Returns for each event the number of the window that it lies in, as `index_of` does; 0 for all time."""
        return [second // width if width else 0 for second in self._seconds]


def as_given(event: event_records.Event, category: int) -> Event:
    """Returns an event of the journal as statistics are given it; `category` says which word of a topic is its category."""
    words = event.topic.split(".")
    return Event(
        seq=event.seq,
        at=max(event.at, EARLIEST),
        received_at=event.received_at,
        source=event.source,
        topic=event.topic,
        category=words[category] if category < len(words) else "",
        sender=event.sender,
        subject=event.subject,
        headers=freeze_json(event.headers),
        body=event.body,
    )
