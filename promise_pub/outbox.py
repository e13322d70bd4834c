"""The outbox: events that promise-pub tells of itself, written in the transaction that makes them true.

A statement that changes something puts its events there itself (INSERT_EVENTS); what is no change of a row of ours is
told by `Outbox.put`. The journal moves events out. While nobody reads the outbox, nothing is put into it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.event_records import OutboxEvent
from promise_pub.text import storable

_COLUMNS = ("message_id", "at", "topic", "subject", "actor", "body")

EVENTS = ", ".join(f"events_{column}" for column in _COLUMNS)
"""The parameters that INSERT_EVENTS takes, as the name of a query lists them."""

INSERT_EVENTS = """
INSERT INTO outbox (message_id, at, topic, subject, actor, body)
SELECT told.* FROM unnest(
    :events_message_id::text[], :events_at::timestamptz[], :events_topic::text[], :events_subject::text[],
    :events_actor::text[], :events_body::jsonb[]
) AS told (message_id, at, topic, subject, actor, body)
"""
"""SQL that puts events into the outbox. A condition may follow, so that they are told only of what was written."""


class Outbox:
    """The outbox of the database of a pool. Without `read_by_somebody` it stays empty."""

    def __init__(self, pool: asyncpg.Pool, *, read_by_somebody: bool = False) -> None:
        self.is_read = read_by_somebody
        self._pool = pool
        self._sql = queries("outbox", events=EVENTS, insert_events=INSERT_EVENTS)

    def arguments(self, events: Sequence[OutboxEvent]) -> dict[str, list[Any]]:
        """Returns what a statement with INSERT_EVENTS takes besides its own parameters."""
        told = events if self.is_read else ()
        columns = {column: [_storable(getattr(event, column)) for event in told] for column in _COLUMNS}
        columns["body"] = [*map(json.dumps, columns["body"])]
        return {f"events_{column}": values for column, values in columns.items()}

    async def put_with(self, connection: Any, *events: OutboxEvent) -> None:
        """Puts events there in the transaction of the connection."""
        if self.is_read:
            await self._sql.put(connection, **self.arguments(events))

    async def put(self, *events: OutboxEvent, within: float = ANSWER_TIMEOUT) -> None:
        """Puts events there. Raises DatabaseUnavailable without an answer, and other kinds of DatabaseError."""
        if self.is_read:
            async with answering(self._pool, within) as connection:
                await self.put_with(connection, *events)


def new_message_id() -> str:
    """Returns an id for an event that is told once."""
    return uuid4().hex


def _storable(value: Any) -> Any:
    """Returns the same JSON without characters that PostgreSQL does not store in text."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _storable(one) for key, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, list | tuple) else value
