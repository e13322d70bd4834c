"""The journal for those who read it by number, and go on from the position they had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from promise_pub.concurrency import map_in_turns
from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.event_records import Bounds, Event, Mark
from promise_pub.features.journal.event_columns import event_of
from promise_pub.features.journal.page_queries import require_head
from promise_pub.features.journal.ports import PAGE_BYTES
from promise_pub.json_text import parse_json

SQL = Path(__file__).parent / "journal.sql"
MAX_MARK = 60  # characters
MAX_MARK_BYTES = 4096  # of a body that is read for its mark


class FollowedJournal:
    """The stored journal as it is followed. Every method raises DatabaseUnavailable when the database does not answer, and
    other kinds of DatabaseError."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries(SQL)

    async def bounds(self) -> Bounds:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return Bounds(*require_head(await self._sql.bounds(connection)))

    async def after(self, position: int, most: int) -> Sequence[Event]:
        """Returns the events that follow this number, in their order: `most` at most, and PAGE_BYTES of bodies and headers,
        but one at least where there is one. What was swept is left out."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            rows = [
                row async for row in self._sql.after(connection, position=position, most=most, most_bytes=PAGE_BYTES)
            ]
        return await map_in_turns(event_of, rows)

    async def first_since(self, moment: datetime) -> int:
        """Returns the number of the first event that arrived at or after this moment, one past the last where none did."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return int(await self._sql.first_since(connection, moment=moment))

    async def marks(self, since: datetime, until: datetime, most: int) -> Sequence[Mark]:
        """Returns the newest events that users told in this time, `until` exclusive, ascending."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            found = self._sql.told_by_users(connection, since=since, until=until, most=most, most_bytes=MAX_MARK_BYTES)
            rows = [row async for row in found]
        return await map_in_turns(_mark_of, reversed(rows))

    async def keep_from(self, reader: str, position: int) -> None:
        """Keeps events after this number from being swept, for a week."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            await self._sql.keep_from(connection, reader=reader, position=position)


def _mark_of(row: Mapping[str, Any]) -> Mark:
    """Returns the mark of an event: its topic and the texts and numbers of its data, as in "deploy 1.4"."""
    try:
        data = parse_json(row["body"] or b"{}")
    except ValueError:
        data = {}
    values = data.values() if isinstance(data, dict) else [data]
    said = [str(value) for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    text = " ".join([row["topic"], *said])
    return Mark(row["at"], row["seq"], text if len(text) <= MAX_MARK else f"{text[: MAX_MARK - 1]}…")
