"""A connection that is lost at a commit leaves it in doubt. Whatever became of it, every event counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats.store import KeeperLost, StatsStore
from promise_pub.settings.model import DatabaseSettings
from tests.journal.new_events import END_OTHERS, all_events
from tests.stats.keeping import (
    Topics,
    Volume,
    append,
    cells_of,
    count_volume,
    counting,
    eventually,
    expected_topics,
    shown,
    wait_until_counted,
)
from tests.tcp_proxy import Proxy, serving


class CommitCutter(Proxy):
    """Cuts every connection at the next commits, `lets_through` those that the database still gets."""

    cuts = 0
    lets_through = True

    async def _cut_off(self, chunk: bytes, writer: asyncio.StreamWriter) -> bool:
        if not self.cuts or b"COMMIT;" not in chunk:
            return await super()._cut_off(chunk, writer)
        self.cuts -= 1
        if self.lets_through:
            writer.write(chunk)
        writer.close()
        await writer.wait_closed()
        self.cut()
        return True


@asynccontextmanager
async def cutting(database: DatabaseSettings) -> AsyncIterator[tuple[CommitCutter, asyncpg.Pool]]:
    """Yields a way to the database whose commits can be cut, and a pool that goes that way."""
    async with (
        serving(CommitCutter(database.host, database.port)) as cutter,
        db.open_pool(replace(database, host="127.0.0.1", port=cutter.port), max_size=3) as theirs,
    ):
        yield cutter, theirs


@pytest.mark.parametrize("lets_through", [True, False])
async def test_a_commit_in_doubt_counts_once(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings, lets_through: bool
) -> None:
    async with cutting(database) as (cutter, theirs), counting(theirs, Topics, Volume):
        cutter.lets_through = lets_through
        for _ in range(4):
            await append(journal, 50)
            await wait_until_counted(pool, {"topics", "volume"})
            cutter.cuts = 1
            await append(journal, 50)
            await wait_until_counted(pool, {"topics", "volume"})
            assert not cutter.cuts
    assert await cells_of(pool, "topics") == await expected_topics(journal)
    assert await cells_of(pool, "volume") == count_volume(await all_events(journal))


async def test_connections_cut_anywhere_lose_and_double_nothing(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings
) -> None:
    random = Random(7)
    async with cutting(database) as (cutter, theirs), counting(theirs, Topics):
        await wait_until_counted(pool, {"topics"})
        for _ in range(25):
            cutter.cut_in(random.randrange(6_000))
            await append(journal, 30)
            await asyncio.sleep(random.random() / 20)
            cutter.cut_after = None
            await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_backends_that_are_ended_lose_and_double_nothing(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    random = Random(3)
    async with counting(pool, Topics, Volume):
        for _ in range(15):
            await append(journal, 200)
            await asyncio.sleep(random.random() / 20)
            await pool.execute(END_OTHERS)
        await wait_until_counted(pool, {"topics", "volume"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_keepers_that_are_killed_lose_and_double_nothing(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    random = Random(5)
    for _ in range(12):
        async with counting(pool, Topics):
            await append(journal, 100)
            await asyncio.sleep(random.random() / 8)
    async with counting(pool, Topics):
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


_HOLDER = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_of_two_keepers_one_counts_and_the_other_goes_on_where_it_ended(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    async with counting(pool, Topics) as one, counting(pool, Topics) as other:
        for _ in range(4):
            await append(journal, 100)
            await wait_until_counted(pool, {"topics"})
            assert not (one.behind and other.behind)
            await pool.execute(_HOLDER)
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_a_keeper_without_its_lock_writes_nothing(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    """Its transaction began before another keeper counted the same events."""
    await append(journal, 100)
    async with counting(pool, Topics):
        await wait_until_counted(pool, {"topics"})
    mine = await shown(pool, "topics")
    with pytest.raises(KeeperLost):
        async with StatsStore(pool).counting() as turn:
            await turn.move([mine.id], 0, 100, [])
    await pool.execute("UPDATE stats_statistics SET state = 'set_aside'")
    with pytest.raises(KeeperLost):
        async with StatsStore(pool).counting() as turn:
            await turn.move([mine.id], 100, 200, [])


async def test_two_keepers_that_both_believe_to_hold_the_lock_double_nothing(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def believing(_: StatsStore) -> AsyncIterator[object]:
        yield lambda: True

    monkeypatch.setattr(StatsStore, "keeping", believing)
    async with counting(pool, Topics, Volume), counting(pool, Topics, Volume):
        for _ in range(20):
            await append(journal, 50)
            await asyncio.sleep(0.02)
        await wait_until_counted(pool, {"topics", "volume"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)
    assert await cells_of(pool, "volume") == count_volume(await all_events(journal))


async def test_an_outage_is_told_once(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with cutting(database) as (cutter, theirs), counting(theirs, Topics):
        await wait_until_counted(pool, {"topics"})
        cutter.cut_in(0)
        await append(journal, 10)
        await asyncio.sleep(1)
        cutter.cut_after = None
        await wait_until_counted(pool, {"topics"})

        async def is_told() -> bool:
            return "Statistics are counted again" in caplog.messages

        await eventually(is_told)
    told = [message for message in caplog.messages if message.startswith("Statistics are")]
    assert told == ["Statistics are not counted", "Statistics are counted again"]
