"""A turn to append to the journal: events are numbered, and copied into its table, while all others wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from promise_pub.concurrency import map_in_turns
from promise_pub.event_records import MAX_AHEAD, NewEvent
from promise_pub.features.journal.event_columns import COLUMNS, Row, is_indexable, row_of
from promise_pub.features.journal.ports import Numbered

# Errors of an event, as opposed to those of a database in trouble.
_CANNOT_BE_STORED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    # Raised for a topic and an actor that are too long for their index together.
    asyncpg.ProgramLimitExceededError,
)


class Batch(NamedTuple):
    """Events with their rows by their keys, the first of each, in their order; and those that are refused unasked."""

    rows: Mapping[UUID, tuple[NewEvent, Row]]
    too_long: Sequence[NewEvent]


async def prepare(events: Sequence[NewEvent]) -> Batch:
    """Makes rows of events. Texts that are too long for an index are left out: others wait, and they may be many."""
    fitting: list[NewEvent] = []
    too_long: list[NewEvent] = []
    for event in events:
        (fitting if is_indexable(event) else too_long).append(event)
    first: dict[UUID, NewEvent] = {}
    for event in fitting:
        first.setdefault(event.key, event)
    rows = await map_in_turns(row_of, first.values())
    return Batch(dict(zip(first, zip(first.values(), rows, strict=True), strict=True)), too_long)


class AppendingTurn:
    """A transaction in which nobody else can append. `last` is the number of the last event, `now` the time of arrival."""

    def __init__(self, connection: Any, sql: Any, last: int, now: datetime) -> None:
        self._connection = connection
        self._sql = sql
        self._last = last
        self._now = now

    async def append(self, batch: Batch) -> Numbered:
        """Appends those events whose keys are new, and tells the numbers of all."""
        known = {row["key"]: row["seq"] async for row in self._sql.numbers(self._connection, keys=[*batch.rows])}
        new = [pair for key, pair in batch.rows.items() if key not in known]
        before = self._last
        added, refused = await self._copy_halving(new)
        if added:
            await self._sql.move_head(self._connection, seq=self._last, received_at=self._now)
        numbers = {event.key: before + n for n, event in enumerate(added, 1)}
        return Numbered({**known, **numbers}, numbers.keys(), (*batch.too_long, *refused))

    async def _copy_halving(
        self, pairs: Sequence[tuple[NewEvent, Row]]
    ) -> tuple[Sequence[NewEvent], Sequence[NewEvent]]:
        """Returns the events that were added, and those that PostgreSQL refused: it halves a batch until one is alone."""
        if not pairs:
            return (), ()
        events = [event for event, _ in pairs]
        try:
            async with self._connection.transaction():
                await self._connection.copy_records_to_table(
                    "journal_events",
                    columns=("seq", "received_at", *COLUMNS),
                    records=[self._record(n, row) for n, (_, row) in enumerate(pairs, self._last + 1)],
                )
        except _CANNOT_BE_STORED:
            if len(pairs) == 1:
                return (), events
        else:
            self._last += len(pairs)
            return events, ()
        middle = len(pairs) // 2
        first, first_refused = await self._copy_halving(pairs[:middle])
        second, second_refused = await self._copy_halving(pairs[middle:])
        return (*first, *second), (*first_refused, *second_refused)

    def _record(self, seq: int, row: Row) -> tuple[Any, ...]:
        at = row[0]
        return seq, self._now, self._now if at is None or at > self._now + MAX_AHEAD else at, *row[1:]
