"""Events to append and to tell, and all that a journal holds."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import asyncpg

from promise_pub.event_records import Event, NewEvent
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.ports import Selection
from promise_pub.features.journal.store import StoredJournal
from promise_pub.topics import matches

# Too long for any index, however it is compressed.
LONG = "".join(map(chr, Random(2).choices(range(0x4E00, 0x9FFF), k=4000)))
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def an_event(message_id: str | None = None, **values: Any) -> NewEvent:
    """An event of the bus, of which only what is given matters."""
    kept = {"source": "bus", "topic": "a.b", "body": b"{}", **values}
    key = key_of(kept["source"], kept.get("sender"), message_id)
    return NewEvent(**{"key": key, "message_id": message_id, **kept})


def random_events(random: Random, count: int, moments: list[datetime | None]) -> list[NewEvent]:
    """Events of few topics, senders and subjects, so that each filter finds some."""
    return [
        an_event(
            source=random.choice(["own", "bus", "bus", "api", "import"]),
            topic=random.choice(["run.ended", "run.started", "run", "", "run.a.b", "other", "rare.run.ended"]),
            sender=random.choice([None, "one", "two"]),
            subject=random.choice([None, None, "s1", "s2"]),
            at=random.choice(moments),
            body=random.randbytes(random.randrange(200)),
        )
        for _ in range(count)
    ]


def select_naively(events: list[Event], selection: Selection) -> list[Event]:
    """Every event that a question is about, in its order."""
    found = [
        event
        for event in events
        if (selection.topic is None or matches(selection.topic, event.topic))
        and (selection.sender is None or event.sender == selection.sender)
        and (selection.subject is None or event.subject == selection.subject)
        and (selection.source is None or event.source == selection.source)
        and (selection.since is None or event.at >= selection.since)
        and (selection.until is None or event.at < selection.until)
    ]
    if selection.after is not None:
        return [event for event in found if event.seq > selection.after]
    return [event for event in reversed(found) if selection.before is None or event.seq < selection.before]


def as_new(event: Event) -> NewEvent:
    """The event as it was given."""
    return NewEvent(**{name: getattr(event, name) for name in NewEvent._fields})


async def all_events(journal: StoredJournal) -> list[Event]:
    """All events in their order."""
    events: list[Event] = []
    position: int | None = 0
    while position is not None:
        page = await journal.read(Selection(after=position, limit=1000))
        events += page.events
        position = page.next
    return events


async def tell(pool: asyncpg.Pool, message_id: str, **values: Any) -> None:
    """Inserts an event into the outbox."""
    await pool.execute(
        "INSERT INTO outbox (message_id, at, topic, subject, actor, body) VALUES ($1, $2, $3, $4, $5, $6)",
        message_id,
        values.get("at", datetime(2026, 1, 2, tzinfo=UTC)),
        values.get("topic", "run.ended"),
        values.get("subject"),
        values.get("actor"),
        values.get("body", "{}"),
    )
