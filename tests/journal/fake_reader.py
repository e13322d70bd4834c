"""The journal in memory, as pages and commands ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from promise_pub.errors import DatabaseError
from promise_pub.event_records import Event, NewEvent
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.ports import Appended, EventPage, Head, Numbered, Selection
from promise_pub.topics import matches

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def a_new_event(topic: str = "run.ended", body: bytes = b'{"a": 1}', **more: Any) -> NewEvent:
    return NewEvent(**{"key": uuid4(), "source": "own", "topic": topic, "body": body, **more})


class FakeReader:
    """The part of StoredJournal that pages and commands use. A question looks at `most_seen` events."""

    def __init__(self, most_seen: int = 100_000) -> None:
        self.away: DatabaseError | None = None
        """The error that every question raises while it is set."""
        self.refuses = b""
        """Bodies that are refused."""
        self.events: list[Event] = []
        self.asked: list[Selection] = []
        self.oldest = 1
        self._most_seen = most_seen

    def _ask(self) -> None:
        if self.away:
            raise self.away

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        self._ask()
        refused = [event for event in events if self.refuses and event.body == self.refuses]
        known = {event.key for event in self.events}
        before = len(self.events)
        for event in events:
            if event.key not in known and event not in refused:
                known.add(event.key)
                given = event._asdict() | {"at": event.at or NOW}
                self.events.append(Event(**given, seq=len(self.events) + 1, received_at=NOW))
        added = len(self.events) - before
        return Appended(added, len(events) - added - len(refused), refused)

    async def append_and_number(self, events: Sequence[NewEvent]) -> Numbered:
        before = len(self.events)
        outcome = await self.append(events)
        numbers = {event.key: event.seq for event in self.events if event.key in {one.key for one in events}}
        return Numbered(numbers, {event.key for event in self.events[before:]}, outcome.refused)

    async def add(self, *events: NewEvent) -> None:
        await self.append(events)

    async def head(self) -> Head:
        self._ask()
        return Head(len(self.events), self.oldest, NOW, 0, UUID(int=1), False)

    async def read(self, selection: Selection) -> EventPage:
        self._ask()
        self.asked.append(selection)
        kept = [event for event in self.events if event.seq >= self.oldest]
        if selection.after is not None:
            kept = [event for event in kept if event.seq > selection.after]
        else:
            kept = [event for event in reversed(kept) if selection.before is None or event.seq < selection.before]
        found: list[Event] = []
        for seen, event in enumerate(kept, 1):
            if _matches(selection, event):
                found.append(event)
            more = seen < len(kept)
            if more and (len(found) == selection.limit or seen == self._most_seen):
                return EventPage(found, event.seq, self.oldest, len(self.events))
        return EventPage(found, None, self.oldest, len(self.events))

    async def get(self, seq: int) -> Event:
        self._ask()
        if not self.oldest <= seq <= len(self.events):
            raise EventNotFound(f"There is no event {seq}.")
        return self.events[seq - 1]


def _matches(asked: Selection, event: Event) -> bool:
    wanted = {"sender": asked.sender, "subject": asked.subject, "source": asked.source}
    return (
        all(value is None or getattr(event, name) == value for name, value in wanted.items())
        and (asked.since is None or event.at >= asked.since)
        and (asked.until is None or event.at < asked.until)
        and (asked.topic is None or matches(asked.topic, event.topic))
    )
