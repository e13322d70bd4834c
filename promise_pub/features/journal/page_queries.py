"""Pages of the journal: bounds of the numbers that a question is about, and the index that answers it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from promise_pub.concurrency import map_in_turns
from promise_pub.db import queries
from promise_pub.errors import SchemaMissing
from promise_pub.event_records import MAX_AHEAD
from promise_pub.features.journal.event_columns import event_of
from promise_pub.features.journal.ports import MOST_SEEN, PAGE_BYTES, EventPage, Selection
from promise_pub.text import storable
from promise_pub.topics import is_exact, pattern_as_regex

SQL = Path(__file__).parent
_FIRST = datetime.min.replace(tzinfo=UTC)
MAX_NUMBER = 2**63 - 1  # of BIGINT
MOST_TIMED = 1_000_000  # events of a span of time whose numbers are looked up for its first page, in 0.3 s
MOST_SCATTERED = 10_000  # events of one topic or subject that are looked at: each may lie on another page of the disk
_LEADS = {
    None: {"lead": "", "value": "", "there": ""},
    "topic": {"lead": "topic, ", "value": ":topic, ", "there": ""},
    "subject": {"lead": "subject, ", "value": ":subject, ", "there": "AND subject IS NOT NULL"},
}


def require_head(row: asyncpg.Record | None) -> asyncpg.Record:
    """Returns the one row of the journal's head. Raises SchemaMissing."""
    if row is None:
        raise SchemaMissing("The table journal_head is empty: fill it with `promise-pub schema --apply`.")
    return row


class PageQueries:
    """The queries for pages: for each index one, in both directions."""

    def __init__(self) -> None:
        self._sql = queries(SQL / "journal.sql")
        self._page = {
            (lead, direction): queries(
                SQL / "page_queries.sql",
                **fragments,
                direction=direction,
                order=f"{lead} {direction}, seq {direction}" if lead else f"seq {direction}",
            ).page
            for lead, fragments in _LEADS.items()
            for direction in ("ASC", "DESC")
        }

    async def read(self, connection: Any, selection: Selection) -> EventPage:
        """Looks at MOST_SEEN events that follow by number, or at MOST_SCATTERED of an exact topic or a subject."""
        head = require_head(await self._sql.head(connection))
        after, before = await self._bounds(connection, selection)
        topic = selection.topic and storable(selection.topic)
        exact = topic is not None and is_exact(topic)
        lead = "subject" if selection.subject is not None else "topic" if exact else None
        page = self._page[lead, "DESC" if selection.after is None else "ASC"]
        rows = page(
            connection,
            after=after,
            before=before,
            limit=selection.limit,
            most_seen=MOST_SEEN if lead is None else MOST_SCATTERED,
            most_bytes=PAGE_BYTES,
            topic=topic if exact else None,
            pattern=None if exact or topic is None else pattern_as_regex(topic),
            sender=selection.sender and storable(selection.sender),
            subject=selection.subject and storable(selection.subject),
            source=selection.source,
            since=selection.since,
            until=selection.until,
        )
        found = [row async for row in rows]
        events = await map_in_turns(event_of, (row for row in found if row["seq"] is not None))
        onward = events[-1].seq if found[0]["full"] else found[0]["edge"]
        return EventPage(events, onward, head["oldest"], head["seq"])

    async def _bounds(self, connection: Any, selection: Selection) -> tuple[int, int]:
        """Returns numbers between which all events lie that the question can find, neither of them among these."""
        after = 0 if selection.after is None else min(max(selection.after, 0), MAX_NUMBER)
        before = MAX_NUMBER
        if selection.after is None and selection.before is not None:
            before = min(max(selection.before, 0), MAX_NUMBER)
        if selection.since is None:
            return after, before
        if selection.until is not None:
            # Later pages are inside the span, and so many of them must not each read all of it.
            is_first = after == 0 and before == MAX_NUMBER
            most = MOST_TIMED if is_first else MOST_SEEN
            found = await self._sql.numbers_between(connection, since=selection.since, until=selection.until, most=most)
            if not found["count"]:
                return 0, 0
            if found["count"] < most:
                return max(after, found["first"] - 1), min(before, found["last"] + 1)
        # Whatever happened since then was received after this moment.
        moment = max(selection.since, _FIRST + MAX_AHEAD) - MAX_AHEAD
        return max(after, await self._sql.first_since(connection, moment=moment) - 1), before
