"""A journal in memory, as the bus needs it. What a test wants to go wrong it sets on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from promise_pub.errors import DatabaseError
from promise_pub.event_records import Event, NewEvent
from promise_pub.features.journal.ports import Appended, EventPage, Head, Selection


class FakeJournal:
    """Appends each key once, and reads by number. `trouble` is raised by every method."""

    def __init__(self) -> None:
        self.name = uuid4()
        self.events: list[Event] = []
        self.published = 0
        self.trouble: DatabaseError | None = None
        self.refuses: Callable[[NewEvent], bool] = lambda _: False
        self.seconds = 0.0
        """The time that a batch takes."""
        self.batches: list[int] = []
        self.others_turn = False
        """True while another server publishes."""
        self._keys: set[UUID] = set()

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        await asyncio.sleep(self.seconds)
        self._raise_trouble()
        self.batches.append(len(events))
        refused = [event for event in events if self.refuses(event)]
        new = {event.key: event for event in reversed(events) if event.key not in self._keys and event not in refused}
        for event in reversed(new.values()):
            self.add(event)
        return Appended(len(new), len(events) - len(refused) - len(new), refused)

    def add(self, event: NewEvent) -> Event:
        now = datetime.now(UTC)
        values = event._asdict() | {"at": event.at or now}
        added = Event(**values, seq=len(self.events) + 1, received_at=now)
        self._keys.add(event.key)
        self.events.append(added)
        return added

    async def head(self) -> Head:
        self._raise_trouble()
        return Head(len(self.events), 1, datetime.now(UTC), self.published, self.name, waiting=False)

    async def read(self, selection: Selection) -> EventPage:
        self._raise_trouble()
        assert selection.after is not None
        found = [one for one in self.events[selection.after :] if selection.source in (None, one.source)]
        page = found[: selection.limit]
        return EventPage(page, page[-1].seq if len(page) == selection.limit else None, 1, len(self.events))

    @asynccontextmanager
    async def publishing_turn(self) -> AsyncIterator[int | None]:
        self._raise_trouble()
        yield None if self.others_turn else self.published

    async def move_published(self, position: int) -> None:
        self._raise_trouble()
        self.published = max(self.published, position)

    def _raise_trouble(self) -> None:
        if self.trouble:
            raise self.trouble
