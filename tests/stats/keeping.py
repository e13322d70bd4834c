"""Keepers to try, the events they count, and the same counts made naively."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from promise_pub.event_records import Event as JournalEvent
from promise_pub.event_records import NewEvent
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.keeper import StatsKeeper
from promise_pub.features.stats.records import Registered
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.features.stats.store import StatsStore
from promise_pub.retries import Backoff
from promise_pub.statistics import WHOLE, Counting, Event, Statistic
from tests.fakes import until
from tests.journal.new_events import all_events, an_event

FOR_EVER = StatsSettings(keep_minutes=0, keep_hours=0)
WIDTHS = (60, 3600, 86_400, 0)
INTERVALS = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), WHOLE)

Cells = Counter[tuple[int, datetime, str]]


class Topics(Counting):
    """Events by topic."""

    name, columns, intervals = "topics", ("topic",), INTERVALS

    def count(self, event: Event) -> Any:
        yield event.topic


class Volume(Counting):
    """Events."""

    name, intervals = "volume", INTERVALS

    def count(self, event: Event) -> Any:
        yield ()


def version_of(plugin: type[Statistic], number: int, **members: Any) -> type[Statistic]:
    """Returns another version of a plugin."""
    return type(plugin.__name__, (plugin,), {"__doc__": plugin.__doc__, "version": number, **members})


def keeper_of(
    pool: asyncpg.Pool, *plugins: type[Statistic], settings: StatsSettings = FOR_EVER, ours: bool = False, **values: Any
) -> StatsKeeper:
    definitions = [define(plugin, ours) for plugin in plugins]
    return StatsKeeper(
        StatsStore(pool), StoredJournal(pool), definitions, settings, 1, backoff=Backoff(0.05, 0.2), **values
    )


@asynccontextmanager
async def counting(pool: asyncpg.Pool, *plugins: type[Statistic], **values: Any) -> AsyncIterator[StatsKeeper]:
    async with (keeper := keeper_of(pool, *plugins, **values)).running():
        yield keeper


async def count_all(pool: asyncpg.Pool, *plugins: type[Statistic], **values: Any) -> None:
    """Counts what the journal has, until all statistics that are not set aside have it and are shown."""
    async with counting(pool, *plugins, **values) as keeper:
        # What is known from before may look as if all were counted.
        await until(lambda: keeper.rounds > 1)
        await wait_until_counted(pool, {plugin.name for plugin in plugins})


async def wait_until_counted(pool: asyncpg.Pool, names: Collection[str]) -> None:
    store, journal = StatsStore(pool), StoredJournal(pool)

    async def is_done() -> bool:
        newest = (await journal.bounds()).newest
        mine = [one for one in await store.list() if one.layout.name in names and one.shown]
        return len(mine) == len(names) and all(
            one.state != "going" or one.position >= newest for one in await store.list() if one.layout.name in names
        )

    await eventually(is_done)


async def eventually(happens: Callable[[], Awaitable[object]], within: float = 15.0) -> None:
    """Waits for what the database shows; fails when it does not come."""
    async with asyncio.timeout(within):
        while True:
            if await happens():
                return
            await asyncio.sleep(0.02)


async def shown(pool: asyncpg.Pool, name: str) -> Registered:
    return next(one for one in await StatsStore(pool).list() if one.layout.name == name and one.shown)


async def cells_of(pool: asyncpg.Pool, name: str) -> Cells:
    """Returns the counts that readers of a statistic see."""
    rows = await pool.fetch(
        "SELECT width, start, key, count FROM stats_cells JOIN stats_statistics ON id = statistic WHERE name = $1 AND shown",
        name,
    )
    return Counter({(row["width"], row["start"], row["key"]): row["count"] for row in rows})


def count_topics(events: Sequence[JournalEvent], widths: Collection[int] = WIDTHS) -> Cells:
    """Counts as Topics does."""
    return Counter((width, start_of(event.at, width), event.topic) for event in events for width in widths)


def count_volume(events: Sequence[JournalEvent]) -> Cells:
    """Counts as Volume does."""
    return Counter((width, start_of(event.at, width), "") for event in events for width in WIDTHS)


async def append(journal: StoredJournal, count: int, **values: Any) -> None:
    """Appends events of few topics, a minute and a half apart."""
    now = values.pop("now", None) or datetime.now(UTC)
    events: list[NewEvent] = []
    for n in range(count):
        events.append(an_event(topic=f"a.t{n % 7}", at=now - timedelta(seconds=90 * n), **values))
    for n in range(0, count, 1000):
        await journal.append(events[n : n + 1000])


async def expected_topics(journal: StoredJournal) -> Cells:
    return count_topics(await all_events(journal))
