"""The journal in PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, COMMAND_TIMEOUT, answering
from promise_pub.db_checks import Need
from promise_pub.event_records import MAX_AHEAD, Acted, Event, NewEvent
from promise_pub.features.journal.appending import AppendingTurn, prepare
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.event_columns import event_of
from promise_pub.features.journal.following import FollowedJournal
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.page_queries import PageQueries, require_head
from promise_pub.features.journal.ports import BATCH, Appended, EventPage, Head, Numbered, Selection, Swept
from promise_pub.logs import fields

log = logging.getLogger(__name__)

# Whoever tells an event inserts into the outbox, and needs the right for it.
NEEDS = (
    Need("journal_events", "SELECT INSERT DELETE"),
    Need("journal_head", "SELECT UPDATE"),
    Need("outbox", "SELECT DELETE"),
    Need("journal_readers", "SELECT INSERT UPDATE"),
)
SENDER = "promise-pub"  # of its own events
LOCK_TIMEOUT = 4_000  # milliseconds for one's turn to append; a batch takes a tenth of a second
IDLE_TIMEOUT = 4_000  # milliseconds, after which one who says nothing loses its turn to the next
UNHEARD = timedelta(days=7)  # after which a reader is taken to be gone, and holds no event any more
PUBLISHING_TIMEOUT = 30.0  # seconds of a turn to publish: an answer of the broker, and two of the database


class StoredJournal(FollowedJournal):
    """The stored journal. Every method raises DatabaseUnavailable when the database does not answer, and other kinds of
    DatabaseError; where the connection is lost at its commit, a batch may be there nevertheless. Appended again, its
    events are known by their keys."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._pages = PageQueries()

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        told = await self._append(events, COMMAND_TIMEOUT)
        added, refused = len(told.added), len(told.refused)
        return Appended(added, len(events) - added - refused, told.refused)

    async def append_and_number(self, events: Sequence[NewEvent]) -> Numbered:
        return await self._append(events, ANSWER_TIMEOUT)

    async def _append(self, events: Sequence[NewEvent], within: float) -> Numbered:
        batch = await prepare(events)
        async with self._appending(within) as (_, turn):
            return await turn.append(batch)

    async def drain_outbox(self, prefix: str) -> int:
        """Moves the first events of the outbox, BATCH at most, and returns how many these were.

        Each is appended in the transaction that deletes it. One that PostgreSQL refuses is lost, which is logged: the
        others would wait for it for ever.
        """
        async with self._appending(COMMAND_TIMEOUT) as (connection, turn):
            rows = [row async for row in self._sql.take_outbox(connection, most=BATCH)]
            events = [_own_event(row, prefix) for row in sorted(rows, key=itemgetter("n"))]
            told = await turn.append(await prepare(events))
        for event in told.refused:
            log.error("An event cannot be stored", extra=fields(topic=event.topic, message_id=event.message_id))
        return len(events)

    @asynccontextmanager
    async def _appending(self, within: float) -> AsyncIterator[tuple[Any, AppendingTurn]]:
        """Yields a connection with a transaction that alone may append, until it is committed with the block."""
        async with (
            answering(self._pool, within) as connection,
            connection.transaction(isolation="read_committed"),
        ):
            await self._sql.bound_waits(connection, lock=str(LOCK_TIMEOUT), idle=str(IDLE_TIMEOUT))
            head = require_head(await self._sql.hold_head(connection))
            yield connection, AppendingTurn(connection, self._sql, head["seq"], head["now"])

    async def sweep(self, connection: Any, before: datetime, limit: int, published: int | None) -> Swept:
        """Deletes the first events, `limit` at most, that were received before then.

        Events after the number `published` stay, and those after the position of a reader who was heard of in UNHEARD.
        """
        row = await self._sql.sweep(connection, before=before, most=limit, published=published, unheard=UNHEARD)
        return Swept(**row)

    @asynccontextmanager
    async def publishing_turn(self) -> AsyncIterator[int | None]:
        async with answering(self._pool, PUBLISHING_TIMEOUT) as connection, connection.transaction():
            await self._sql.bound_waits(connection, lock=str(LOCK_TIMEOUT), idle=str(int(PUBLISHING_TIMEOUT * 1000)))
            mine = await self._sql.try_publishing(connection)
            # Read once the turn is held: the server that had it before may just have moved the position.
            yield require_head(await self._sql.head(connection))["published"] if mine else None

    async def move_published(self, position: int) -> None:
        """Sets how far own events are on the bus, never back."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.move_published(connection, position=position)

    async def head(self) -> Head:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return Head(**require_head(await self._sql.head(connection)))

    async def read(self, selection: Selection) -> EventPage:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return await self._pages.read(connection, selection)

    async def get(self, seq: int) -> Event:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            row = await self._sql.event(connection, seq=seq)
        if row is None:
            raise EventNotFound(f"There is no event {seq}.")
        return event_of(row)

    async def told_topics(self) -> Sequence[str]:
        """Returns the topics of own events that somebody told, with every prefix that these have had."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return [row["topic"] async for row in self._sql.told_topics(connection)]

    async def actors(
        self, connection: Any, topics: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[Acted]:
        """Yields who told own events of these topics from a moment to before another, each once, in no order."""
        async for row in self._sql.actors(connection, topics=topics, since=since, until=until):
            yield Acted(*row)

    async def first_at(self, topics: Sequence[str]) -> datetime | None:
        """Returns when the first own event of these topics happened that somebody told."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            first: datetime | None = await self._sql.first_at(connection, topics=topics)
        return first

    async def kept_since(self) -> datetime | None:
        """Returns a moment from which on every event is kept that happened; None where none was ever swept."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            swept: datetime | None = await self._sql.newest_swept(connection)
        # One that was swept may have happened so much after it came, and no later.
        return swept and swept + MAX_AHEAD + timedelta.resolution


def _own_event(row: asyncpg.Record, prefix: str) -> NewEvent:
    return NewEvent(
        key=key_of("own", "", row["message_id"]),
        source="own",
        topic=f"{prefix}.{row['topic']}",
        body=row["body"].encode(),
        at=row["at"],
        sender=SENDER,
        subject=row["subject"],
        actor=row["actor"],
        message_id=row["message_id"],
        content_type="application/json",
    )
