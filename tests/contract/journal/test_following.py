"""The journal as those see it who follow it by number: nothing left out, nothing swept that they have not read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from promise_pub import db
from promise_pub.event_records import Bounds
from promise_pub.features.journal.ports import Swept
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings
from tests.journal.new_events import an_event

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)


async def arrived(pool: asyncpg.Pool, count: int, start: datetime) -> None:
    """Lets the first events arrive a minute apart."""
    await pool.execute(
        "UPDATE journal_events SET received_at = $1::timestamptz + (seq - 1) * interval '1 minute' WHERE seq <= $2",
        start,
        count,
    )


async def test_events_follow_by_number_in_pieces_that_are_bounded(journal: StoredJournal) -> None:
    assert await journal.bounds() == Bounds(1, 0)
    assert not await journal.after(0, 10)
    await journal.append([an_event(str(n), body=b"x" * (50_000 if n % 2 else 1)) for n in range(300)])
    assert await journal.bounds() == Bounds(1, 300)
    assert [event.seq for event in await journal.after(7, 5)] == [8, 9, 10, 11, 12]
    assert [event.seq for event in await journal.after(298, 5)] == [299, 300]
    assert await journal.after(0, 2) == [await journal.get(1), await journal.get(2)]
    many = await journal.after(0, 1000)
    assert 4 * 1024**2 <= sum(len(event.body) for event in many) <= 5 * 1024**2
    assert [event.seq for event in many] == [*range(1, len(many) + 1)]


async def test_the_first_event_since_a_moment_is_found_by_its_arrival(
    journal: StoredJournal, pool: asyncpg.Pool
) -> None:
    assert await journal.first_since(NOW) == 1
    await journal.append([an_event(str(n)) for n in range(20)])
    await arrived(pool, 20, NOW)
    minute = timedelta(minutes=1)
    moments = (NOW - LATER.resolution, NOW, NOW + minute / 2, NOW + minute, NOW + 19 * minute, NOW + 20 * minute)
    assert [await journal.first_since(moment) for moment in moments] == [1, 1, 2, 2, 20, 21]


@pytest.mark.parametrize(
    ("topic", "data", "text"),
    [
        ("deploy", {"version": "1.4"}, "deploy 1.4"),
        ("deploy", {"what": "consumer", "version": 2, "by": {"name": "x"}, "ok": True}, "deploy consumer 2"),
        ("deploy", "now", "deploy now"),
        ("deploy", [1], "deploy"),
        ("a", {"text": "x" * 100}, f"a {'x' * 57}…"),
    ],
)
async def test_a_mark_says_what_was_told(journal: StoredJournal, topic: str, data: Any, text: str) -> None:
    await journal.append([an_event(topic=topic, source="api", body=json.dumps(data).encode(), at=NOW)])
    assert [mark.text for mark in await journal.marks(NOW, LATER, 5)] == [text]


async def test_marks_are_the_newest_of_a_time_and_only_what_users_told(journal: StoredJournal) -> None:
    await journal.append(
        [
            an_event(str(n), topic=f"t{n}", source="api" if n % 2 else "bus", at=NOW - timedelta(hours=n), body=b"{")
            for n in range(10)
        ]
    )
    marks = await journal.marks(NOW - timedelta(hours=7), NOW, 2)
    assert [(mark.seq, mark.text, mark.at) for mark in marks] == [
        (4, "t3", NOW - timedelta(hours=3)),
        (2, "t1", NOW - timedelta(hours=1)),
    ]


async def test_no_event_is_swept_that_a_reader_has_still_to_read(journal: StoredJournal, pool: asyncpg.Pool) -> None:
    await journal.append([an_event(str(n)) for n in range(10)])
    await journal.keep_from("slow", 4)
    await journal.keep_from("quick", 9)
    assert await journal.sweep(pool, LATER, 100, None) == Swept(4, "slow")
    assert await journal.sweep(pool, LATER, 100, None) == Swept(0, "slow")
    assert await journal.sweep(pool, LATER, 100, 2) == Swept(0, "")
    await journal.keep_from("slow", 6)
    assert await journal.sweep(pool, LATER, 100, 8) == Swept(2, "slow")
    await pool.execute("UPDATE journal_readers SET heard_at = now() - interval '8 days' WHERE name = 'slow'")
    assert await journal.sweep(pool, LATER, 100, None) == Swept(3, "quick")
    await journal.keep_from("quick", 10)
    assert await journal.sweep(pool, LATER, 100, None) == Swept(1, None)
    assert await journal.bounds() == Bounds(11, 10)


async def test_a_reader_at_the_end_is_held_for_nothing(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await journal.append([an_event()])
    await journal.keep_from("reader", 0)
    assert await journal.sweep(pool, NOW - timedelta(days=1), 100, None) == Swept(0, None)


async def test_only_what_may_have_changed_a_session_has_it_reset(database: DatabaseSettings) -> None:
    """A session's setting shows it."""
    async with db.open_pool(database, max_size=1) as pool:

        async def change(reset: bool) -> str:
            async with db.answering(pool, 5, reset=reset) as connection:
                await connection.execute("SET work_mem = '77MB'")
            async with db.answering(pool, 5) as connection:
                return str(await connection.fetchval("SHOW work_mem"))

        assert await change(False) == "77MB"
        assert await change(True) != "77MB"
        await StoredJournal(pool).bounds()
        assert await change(True) != "77MB", "the promise holds for one block"
