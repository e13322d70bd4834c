"""Every event of the journal counts once in every statistic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import counting as counting_module
from promise_pub.features.stats.cohorts import choose_cohorts
from promise_pub.features.stats.counting import CohortCounter
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.records import OTHERS
from promise_pub.features.stats.registrar import Registrar
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.features.stats.sketches import estimate, inflate
from promise_pub.features.stats.store import StatsStore
from promise_pub.statistics import Counting, Distinct, Event, Latest, Measuring
from tests.journal.new_events import all_events, an_event
from tests.stats.keeping import (
    FOR_EVER,
    INTERVALS,
    Topics,
    Volume,
    append,
    cells_of,
    count_all,
    count_topics,
    count_volume,
    counting,
    eventually,
    shown,
    wait_until_counted,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def test_what_is_there_and_what_comes_is_counted_once(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, 5_000)
    async with counting(pool, Topics, Volume) as keeper:
        await wait_until_counted(pool, {"topics", "volume"})
        await append(journal, 300)
        await wait_until_counted(pool, {"topics", "volume"})
        await eventually(lambda: keeper_is_at_the_end(keeper.behind))
        assert keeper.seconds.keys() == {"topics", "volume"}
    events = await all_events(journal)
    assert await cells_of(pool, "topics") == count_topics(events)
    assert await cells_of(pool, "volume") == count_volume(events)
    assert (await shown(pool, "topics")).position == 5_300


async def keeper_is_at_the_end(behind: Any) -> bool:
    return dict(behind) == {"topics": 0, "volume": 0}


async def test_a_late_event_counts_in_each_window_that_it_lies_in(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    async with counting(pool, Topics):
        for at in (NOON, NOON + timedelta(hours=5), NOON + timedelta(seconds=1), NOON - timedelta(days=900)):
            await journal.append([an_event(topic="a", at=at)])
            await wait_until_counted(pool, {"topics"})
    cells = await cells_of(pool, "topics")
    assert cells == count_topics(await all_events(journal))
    assert cells[60, NOON, "a"] == 2


class Values(Measuring):
    """Lengths of bodies, by topic."""

    name, columns, intervals = "values", ("topic",), (timedelta(hours=1),)

    def measure(self, event: Event) -> Any:
        yield event.topic, len(event.body)


class Newest(Latest):
    """The newest body of each topic."""

    name, columns = "newest", ("topic",)

    def entry(self, event: Event) -> Any:
        yield event.topic, event.data


class Bodies(Distinct):
    """About how many bodies."""

    name, intervals = "bodies", (timedelta(hours=1),)

    def members(self, event: Event) -> Any:
        yield (), event.body.decode()


async def test_every_kind_adds_up_over_batches(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    async with counting(pool, Values, Newest, Bodies):
        for n in range(6):
            body = b'{"n": %d}' % (n % 4)
            await journal.append([an_event(topic="a", at=NOON - timedelta(minutes=n % 3), body=body)])
            await wait_until_counted(pool, {"values", "newest", "bodies"})
    measured = await pool.fetchrow(
        "SELECT sum(count)::int AS count, sum(total)::int AS total, max(most)::int AS most FROM stats_cells"
    )
    assert measured and dict(measured) == {"count": 6, "total": 48_000, "most": 8_000}
    entry = await pool.fetchrow("SELECT at, seq, value FROM stats_latest")
    assert entry and tuple(entry) == (NOON, 4, '{"n": 3}')
    sketches = await pool.fetch("SELECT sketch FROM stats_distinct")
    assert sorted(estimate(inflate(row["sketch"])) for row in sketches) == [2, 3]


async def test_a_full_window_counts_further_keys_together_in_whatever_batches(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    settings = StatsSettings(keep_minutes=0, keep_hours=0, most_keys=3)
    for _ in range(2):
        async with counting(pool, Topics, settings=settings):
            for n in [1, 2, 1, 3, 4, 1, 5, 2]:
                await journal.append([an_event(topic=f"t{n}", at=NOON)])
                await wait_until_counted(pool, {"topics"})
    hour = {key: count for (width, _, key), count in (await cells_of(pool, "topics")).items() if width == 3600}
    assert hour == {"t1": 6, "t2": 4, "t3": 2, OTHERS: 4}


@pytest.mark.parametrize(
    ("bound", "most", "events"),
    [("MAX_ROWS", 100, 30), ("MAX_BYTES", 15_000, 20), ("MAX_EVENTS", 40, 40), ("MAX_SECONDS", 0, 10)],
)
async def test_a_transaction_is_bounded(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, events: int
) -> None:
    monkeypatch.setattr(counting_module, "CHUNK", 10)
    monkeypatch.setattr(counting_module, bound, most)
    await journal.append([an_event(topic=f"t{n}", at=NOON, body=b"x" * 1000) for n in range(100)])
    store = StatsStore(pool)
    standing = await Registrar(journal, store, [define(Topics)]).register(NOON, starting=True)
    counter = CohortCounter(journal, store, 1, 1000)
    filled = await counter.fill(choose_cohorts(standing.counted, 0)[0], {})
    counter.close()
    assert filled.up_to == filled.events == events


class Categories(Counting):
    """Events by category."""

    name, columns, intervals = "categories", ("category",), INTERVALS[:1]

    def count(self, event: Event) -> Any:
        yield event.category


async def test_the_category_is_the_word_that_the_configuration_names(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await journal.append([an_event(topic="a.b.c", at=NOON), an_event(topic="a", at=NOON)])
    await count_all(pool, Categories, settings=FOR_EVER)
    assert {key for _, _, key in await cells_of(pool, "categories")} == {"b", ""}
