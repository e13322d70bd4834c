"""Protocols of the journal, for its own parts and for the features that read it, and the values that these exchange."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from promise_pub.event_records import Event, NewEvent, Source

BATCH = 1000
"""Events that are appended in one transaction."""
BATCH_BYTES = 4 * 1024**2
"""Bytes of their bodies and headers, after which a batch is full."""
MOST_SEEN = 100_000
"""Events that one question looks at."""
PAGE_BYTES = 4 * 1024**2
"""Bytes of bodies and headers after which a page of events is full."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of a batch: how many were new, how many were there before, and those that PostgreSQL refused."""

    added: int
    known: int
    refused: Sequence[NewEvent] = ()


@dataclass(frozen=True, slots=True)
class Numbered:
    """The outcome of a batch, event by event: the numbers of all that are in the journal now, by their keys; the keys of
    those that were new; and those that PostgreSQL refused."""

    numbers: Mapping[UUID, int]
    added: Collection[UUID]
    refused: Sequence[NewEvent] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The state of the journal. `seq` is the number of its last event, 0 where there is none; `oldest` of the first that
    is kept, one more than `seq` where there is none; `waiting` tells whether the outbox holds any."""

    seq: int
    oldest: int
    received_at: datetime
    published: int
    journal: UUID
    waiting: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """The outcome of a sweep: how many events it deleted, and the name of the reader for whom another one stays, "" for
    the bus; None where no other has to go."""

    deleted: int
    held_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A question to the journal: `after` a number, ascending; or else `before` one, or the newest, descending.

    `topic` is a pattern of AMQP: `*` stands for a word, `#` for any number of them. `since` and `until` are about the
    moment that an event happened, `until` exclusive.
    """

    after: int | None = None
    before: int | None = None
    limit: int = 100
    topic: str | None = None
    sender: str | None = None
    subject: str | None = None
    source: Source | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """The events that a question found. Where it was full or looked at MOST_SEEN, `next` is the number to go on from: a
    page may be short, or empty, and not be the last. None: nothing more at present.

    `oldest` and `newest` are the numbers of the first and the last event that the journal had before these were looked
    for: who goes on after the newest misses none.
    """

    events: Sequence[Event]
    next: int | None
    oldest: int
    newest: int


class Appending(Protocol):
    """A journal that events are appended to. Every method raises a kind of DatabaseError."""

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        """Appends a batch, each event once, and halves it where PostgreSQL refuses it. Commits before it returns."""

    async def append_and_number(self, events: Sequence[NewEvent]) -> Numbered:
        """Does the same for one who waits for an answer about each event. It takes a few seconds at most."""


class JournalReader(Protocol):
    """The journal as it is read. Every method raises a kind of DatabaseError."""

    async def head(self) -> Head: ...

    async def read(self, selection: Selection) -> EventPage:
        """Looks at MOST_SEEN events at most."""

    async def get(self, seq: int) -> Event:
        """Returns an event. Raises EventNotFound."""
