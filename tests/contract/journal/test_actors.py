"""The journal for those who ask who did something, and whether all of it is still there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from promise_pub.event_records import MAX_AHEAD, Acted
from promise_pub.features.journal.store import StoredJournal
from tests.journal.new_events import an_event

DAY = datetime(2026, 1, 2, tzinfo=UTC)
LOGIN = "promise-pub.account.login"


async def append(
    journal: StoredJournal, *told: tuple[str | None, datetime], topic: str = LOGIN, source: str = "own"
) -> None:
    await journal.append([an_event(source=source, topic=topic, actor=actor, at=at) for actor, at in told])


async def actors(pool: asyncpg.Pool, journal: StoredJournal, since: datetime, until: datetime) -> Sequence[Acted]:
    async with pool.acquire() as connection:
        return sorted([one async for one in journal.actors(connection, [LOGIN], since, until)])


def at(hour: int) -> datetime:
    return DAY + timedelta(hours=hour)


async def test_each_actor_is_told_once_with_how_often_and_from_when_to_when(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(
        journal, ("ann", at(3)), ("ann", at(1)), ("bob", at(2)), (None, at(2)), ("ann", at(24)), ("ann", at(-1))
    )
    await append(journal, ("cleo", at(2)), source="bus")
    await append(journal, ("dora", at(2)), topic=f"{LOGIN}_failed")

    assert await actors(pool, journal, DAY, at(24)) == [("ann", 2, at(1), at(3)), ("bob", 1, at(2), at(2))]


async def test_a_moment_at_the_start_is_included_and_one_at_the_end_is_not(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, ("first", at(0)), ("last", at(24)))

    assert [one.actor for one in await actors(pool, journal, DAY, at(24))] == ["first"]


async def test_the_first_event_of_some_topics_is_that_of_somebody(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    assert await journal.first_at([LOGIN, "other"]) is None
    await append(journal, (None, at(1)), ("bob", at(5)), ("ann", at(4)))
    await append(journal, ("cleo", at(3)), topic="other")

    assert await journal.first_at([LOGIN]) == at(4)
    assert await journal.first_at([LOGIN, "other", "none"]) == at(3)


async def test_a_journal_that_was_never_swept_has_every_event(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, ("ann", at(1)))
    await journal.sweep(pool, datetime(2000, 1, 1, tzinfo=UTC), 10, None)

    assert await journal.kept_since() is None


async def test_a_journal_has_what_happened_later_than_all_that_was_swept_can_have(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, ("ann", at(1)))
    await append(journal, ("bob", at(2)))
    first, second = [
        row["received_at"] for row in await pool.fetch("SELECT received_at FROM journal_events ORDER BY seq")
    ]

    await journal.sweep(pool, second, 10, None)
    one_is_left = await journal.kept_since()
    await journal.sweep(pool, second + timedelta(days=1), 10, None)
    none_is_left = await journal.kept_since()

    assert one_is_left == first + MAX_AHEAD + timedelta.resolution
    assert none_is_left == second + MAX_AHEAD + timedelta.resolution
    # A quiet journal: whatever is told much later is there from its first event on.
    await append(journal, ("cleo", at(3)))
    assert await journal.kept_since() == none_is_left


async def test_a_journal_that_an_older_version_swept_has_what_happened_after_its_first_event_came(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, ("ann", at(1)))
    await append(journal, ("bob", at(2)))
    second = await pool.fetchval("SELECT max(received_at) FROM journal_events")
    await journal.sweep(pool, second, 10, None)
    await pool.execute("UPDATE journal_head SET swept = NULL")

    assert await journal.kept_since() == second + MAX_AHEAD + timedelta.resolution
    await journal.sweep(pool, second + timedelta(days=1), 10, None)
    await pool.execute("UPDATE journal_head SET swept = NULL")
    assert await journal.kept_since() == second + MAX_AHEAD + timedelta.resolution


async def test_topics_are_those_of_own_events_that_somebody_told(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    assert await journal.told_topics() == []
    await append(journal, ("ann", at(1)), ("bob", at(2)))
    await append(journal, ("ann", at(1)), topic="former.account.login")
    await append(journal, (None, at(1)), topic="server.started")
    await append(journal, ("cleo", at(2)), topic="foreign", source="bus")

    assert await journal.told_topics() == ["former.account.login", LOGIN]
