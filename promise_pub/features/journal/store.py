"""The journal in PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import asyncpg

from promise_pub.concurrency import map_in_turns
from promise_pub.db import ANSWER_TIMEOUT, COMMAND_TIMEOUT, answering, queries
from promise_pub.db_checks import Need
from promise_pub.errors import SchemaMissing
from promise_pub.event_records import Event, NewEvent
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.event_columns import columns_of, event_of, is_indexable, row_of
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.page_queries import PageQueries
from promise_pub.features.journal.ports import BATCH, Appended, EventPage, Head, Numbered, Selection
from promise_pub.logs import fields

log = logging.getLogger(__name__)

# Whoever tells an event inserts into the outbox, and needs the right for it.
NEEDS = (
    Need("journal_events", "SELECT INSERT DELETE"),
    Need("journal_head", "SELECT UPDATE"),
    Need("outbox", "SELECT DELETE"),
)
SQL = Path(__file__).parent / "journal.sql"
SENDER = "promise-pub"  # of its own events
LOCK_TIMEOUT = 4_000  # milliseconds for one's turn to append; a batch takes a tenth of a second
IDLE_TIMEOUT = 4_000  # milliseconds, after which one who says nothing loses its turn to the next
PUBLISHING_TIMEOUT = 30.0  # seconds of a turn to publish: an answer of the broker, and two of the database

# Errors of an event, as opposed to those of a database in trouble.
_CANNOT_BE_STORED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    # Raised for a topic and an actor that are too long for their index together.
    asyncpg.ProgramLimitExceededError,
)


class StoredJournal:
    """The stored journal. Every method raises DatabaseUnavailable when the database does not answer, and other kinds of
    DatabaseError; where the connection is lost at its commit, a batch may be there nevertheless. Appended again, its
    events are known by their keys."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries(SQL)
        self._pages = PageQueries()

    async def append(self, events: Sequence[NewEvent]) -> Appended:
        async with self._appending(COMMAND_TIMEOUT) as connection:
            return await self._append(connection, events)

    async def append_and_number(self, events: Sequence[NewEvent]) -> Numbered:
        async with self._appending(ANSWER_TIMEOUT) as connection:
            outcome = await self._append(connection, events)
            # Nobody else appends or deletes meanwhile: the last ones are those that were added.
            keys = [event.key for event in events]
            found = [row async for row in self._sql.numbers(connection, keys=keys, last=outcome.added)]
        added = frozenset(row["key"] for row in found if row["is_last"])
        return Numbered({row["key"]: row["seq"] for row in found}, added, outcome.refused)

    async def drain_outbox(self, prefix: str) -> int:
        """Moves the first events of the outbox, BATCH at most, and returns how many these were.

        Each is appended in the transaction that deletes it. One that PostgreSQL refuses is lost, which is logged: the
        others would wait for it for ever.
        """
        async with self._appending(COMMAND_TIMEOUT) as connection:
            rows = [row async for row in self._sql.take_outbox(connection, most=BATCH)]
            events = [_own_event(row, prefix) for row in sorted(rows, key=itemgetter("n"))]
            outcome = await self._append(connection, events)
        for event in outcome.refused:
            log.error("An event cannot be stored", extra=fields(topic=event.topic, message_id=event.message_id))
        return len(events)

    @asynccontextmanager
    async def _appending(self, within: float) -> AsyncIterator[Any]:
        """Yields a connection with a transaction that alone may append, until it is committed with the block."""
        async with (
            answering(self._pool, within) as connection,
            connection.transaction(isolation="read_committed"),
        ):
            await self._sql.bound_waits(connection, lock=str(LOCK_TIMEOUT), idle=str(IDLE_TIMEOUT))
            _require_head(await self._sql.hold_head(connection))
            yield connection

    async def _append(self, connection: Any, events: Sequence[NewEvent]) -> Appended:
        """Appends within a transaction. Texts that are too long are refused unasked: others wait, and they may be many."""
        fitting: list[NewEvent] = []
        too_long: list[NewEvent] = []
        for event in events:
            (fitting if is_indexable(event) else too_long).append(event)
        outcome = await self._append_halving(connection, fitting, await map_in_turns(row_of, fitting))
        return replace(outcome, refused=(*too_long, *outcome.refused))

    async def _append_halving(
        self, connection: Any, events: Sequence[NewEvent], rows: Sequence[tuple[Any, ...]]
    ) -> Appended:
        """Halves a batch that is refused, until the event that cannot be stored is alone."""
        if not events:
            return Appended(0, 0)
        try:
            async with connection.transaction():
                added = int(await self._sql.append(connection, **columns_of(rows)))
            return Appended(added, len(events) - added)
        except _CANNOT_BE_STORED:
            if len(events) == 1:
                return Appended(0, 0, (*events,))
        middle = len(events) // 2
        first = await self._append_halving(connection, events[:middle], rows[:middle])
        second = await self._append_halving(connection, events[middle:], rows[middle:])
        return Appended(first.added + second.added, first.known + second.known, (*first.refused, *second.refused))

    async def sweep(self, before: datetime, limit: int, protect: int | None) -> int:
        """Deletes the first events, `limit` at most, that were received before then, and returns their number.

        Events after the number `protect` stay: it is the position of somebody who has not read them.
        """
        async with answering(self._pool, COMMAND_TIMEOUT) as connection:
            return int(await self._sql.sweep(connection, before=before, most=limit, protect=protect))

    @asynccontextmanager
    async def publishing_turn(self) -> AsyncIterator[int | None]:
        async with answering(self._pool, PUBLISHING_TIMEOUT) as connection, connection.transaction():
            await self._sql.bound_waits(connection, lock=str(LOCK_TIMEOUT), idle=str(int(PUBLISHING_TIMEOUT * 1000)))
            mine = await self._sql.try_publishing(connection)
            # Read once the turn is held: the server that had it before may just have moved the position.
            yield _require_head(await self._sql.head(connection))["published"] if mine else None

    async def move_published(self, position: int) -> None:
        """Sets how far own events are on the bus, never back."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.move_published(connection, position=position)

    async def head(self) -> Head:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return Head(**_require_head(await self._sql.head(connection)))

    async def read(self, selection: Selection) -> EventPage:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return await self._pages.read(connection, selection)

    async def get(self, seq: int) -> Event:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.event(connection, seq=seq)
        if row is None:
            raise EventNotFound(f"There is no event {seq}.")
        return event_of(row)


def _require_head(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise SchemaMissing("The table journal_head is empty: fill it with `promise-pub schema --apply`.")
    return row


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
