"""Events read in the order of their numbers, a page at a time: the newest there are, and those that come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from promise_pub.errors import DatabaseError
from promise_pub.event_records import Event
from promise_pub.features.journal.ports import JournalReader, Selection
from promise_pub.features.journal.selecting import MAX_LIMIT
from promise_pub.retries import Backoff, Retries

MAX_LISTED = 1_000_000_000
POLL = Backoff(1.0, 1.0, jitter=0.0)  # seconds; a database that is away is waited for

Show = Callable[[Sequence[Event]], None]


async def list_newest(journal: JournalReader, filters: Selection, limit: int, show: Show) -> int:
    """Shows the newest `limit` events in their order, in constant memory. Returns the number to go on after."""
    newest = (await journal.head()).seq
    after = await _find_start(journal, replace(filters, before=newest + 1), limit)
    while after < newest and limit:
        page = await journal.read(replace(filters, after=after, before=None, limit=min(limit, MAX_LIMIT)))
        events = [event for event in page.events if event.seq <= newest]
        show(events)
        limit -= len(events)
        after = newest if page.next is None else page.next
    return newest


async def _find_start(journal: JournalReader, newest: Selection, limit: int) -> int:
    """Returns the number after which the newest `limit` events come."""
    start = (newest.before or 1) - 1
    while limit:
        page = await journal.read(replace(newest, limit=min(limit, MAX_LIMIT)))
        limit -= len(page.events)
        if page.events:
            start = page.events[-1].seq - 1
        if page.next is None:
            break
        newest = replace(newest, before=page.next)
    return start


async def follow_events(
    journal: JournalReader,
    filters: Selection,
    after: int,
    show: Show,
    complain: Callable[[str], None],
    backoff: Backoff = POLL,
) -> None:
    """Shows events as they come until it is cancelled, and complains once of a database that is away. Raises DatabaseError."""
    retries = Retries(backoff, lambda *_: None)
    while True:
        try:
            page = await journal.read(replace(filters, after=after, limit=MAX_LIMIT))
        except DatabaseError as error:
            if error.passes and not retries.failing:
                complain(error.message)
            await retries.wait(error)
            continue
        retries.reset()
        show(page.events)
        if page.next is not None:
            after = page.next
            continue
        after = max(after, page.newest, *(event.seq for event in page.events[-1:]))
        await asyncio.sleep(backoff.first)
