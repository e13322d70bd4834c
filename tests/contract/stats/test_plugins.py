"""Plugins that misbehave cost the others nothing, and their trouble is told."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from promise_pub.features.journal.ports import Swept
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import counting as counting_module
from promise_pub.features.stats import store as store_module
from promise_pub.features.stats.changed_rows import columns_of_cells
from promise_pub.features.stats.records import OTHERS
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.statistics import Counting, Event, Statistic
from tests.fakes import until
from tests.journal.new_events import all_events
from tests.stats.keeping import (
    Topics,
    Volume,
    append,
    cells_of,
    count_all,
    count_topics,
    count_volume,
    counting,
    eventually,
    expected_topics,
    shown,
    wait_until_counted,
)


class Seventh(Counting):
    """Fails at every seventh event."""

    name, columns, intervals = "seventh", ("topic",), Topics.intervals

    def count(self, event: Event) -> Any:
        yield event.topic
        if event.seq % 7 == 0:
            raise ValueError(f"number {event.seq}")


class Always(Counting):
    """Fails at every event."""

    name = "always"

    def count(self, event: Event) -> Any:
        raise LookupError("always")


class Sleeps(Counting):
    """Hangs at the hundredth event."""

    name = "sleeps"

    def count(self, event: Event) -> Any:
        if event.seq == 100:
            time.sleep(60)
        yield ()


class Loops(Counting):
    """Never ends, though it can be interrupted."""

    name = "loops"

    def count(self, event: Event) -> Any:
        while True:
            time.sleep(0.01)


class Many(Counting):
    """Ten thousand keys an event."""

    name, columns, intervals = "many", ("key",), (timedelta(hours=1),)

    def count(self, event: Event) -> Any:
        return [f"{event.seq % 3}-{n}" for n in range(10_000)]


class Exits(Counting):
    """Would end the process."""

    name = "exits"

    def count(self, event: Event) -> Any:
        raise SystemExit(3)


class WrongTypes(Counting):
    """Gives what is no key."""

    name, columns = "wrong-types", ("topic",)

    def count(self, event: Event) -> Any:
        yield 1


NASTY_TEXT = "\0\ud800 =cmd() <script>\x1b[31m \x1f\x1e " + "x" * 1_000_000


class Texts(Counting):
    """Gives texts that nobody should have to store."""

    name, columns, intervals = "texts", ("one", "other"), (timedelta(hours=1),)

    def count(self, event: Event) -> Any:
        yield NASTY_TEXT, "\u202e" * 1000


async def assert_others_are_exact(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    assert await cells_of(pool, "topics") == await expected_topics(journal)
    assert await cells_of(pool, "volume") == count_volume(await all_events(journal))


async def test_an_event_that_a_plugin_fails_at_is_left_out_there_alone(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 2_500)
    await count_all(pool, Topics, Seventh, Volume)
    await assert_others_are_exact(pool, journal)
    taken = [event for event in await all_events(journal) if event.seq % 7]
    assert await cells_of(pool, "seventh") == count_topics(taken)
    failing = await shown(pool, "seventh")
    assert (failing.state, failing.left_out) == ("going", 2_500 // 7)
    told = await pool.fetch("SELECT seq, error FROM stats_left_out ORDER BY seq")
    assert [row["seq"] for row in told] == [*range(7, 701, 7)]
    assert told[0]["error"] == "ValueError: number 7"


@pytest.mark.parametrize("plugin", [Always, Exits, WrongTypes])
async def test_one_that_fails_at_a_thousand_events_in_a_row_is_set_aside(
    pool: asyncpg.Pool, journal: StoredJournal, plugin: type[Statistic]
) -> None:
    await append(journal, 600)
    async with counting(pool, Topics, plugin, Volume):
        await wait_until_counted(pool, {"topics", plugin.name})
        assert (await shown(pool, plugin.name)).state == "going"
        await append(journal, 600)
        await wait_until_counted(pool, {"topics", "volume", plugin.name})
        await append(journal, 100)
        await wait_until_counted(pool, {"topics", "volume"})
    failing = await shown(pool, plugin.name)
    assert (failing.state, failing.left_out, failing.position) == ("set_aside", 1_200, 1_200)
    assert failing.trouble and failing.trouble.startswith("It failed at 1,000 events in a row, the last time with ")
    await assert_others_are_exact(pool, journal)


async def test_one_that_hangs_is_set_aside_and_after_two_no_plugin_is_counted(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_module, "MAX_FOLD", 0.5)
    await append(journal, 300)
    async with counting(pool, Topics, Sleeps, Volume) as keeper:
        await wait_until_counted(pool, {"topics", "volume"})
        await until(lambda: keeper.behind.keys() == {"topics", "volume"})
    hung = await shown(pool, "sleeps")
    assert (hung.state, hung.position) == ("set_aside", 0)
    assert hung.trouble == "It hangs: 300 events took more than 0.5 seconds."
    await assert_others_are_exact(pool, journal)
    await append(journal, 100)
    async with counting(pool, Topics, Sleeps, Loops):
        await wait_until_counted(pool, {"topics", "sleeps", "loops"})
        await append(journal, 100)
    aside = await shown(pool, "topics")
    assert (aside.state, aside.trouble) == (
        "set_aside",
        "2 statistics hung: plugins are counted again after a restart.",
    )
    await count_all(pool, Topics, Volume)
    await assert_others_are_exact(pool, journal)


async def test_one_with_ten_thousand_keys_an_event_is_bounded_and_stays_behind(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 60)
    settings = StatsSettings(keep_minutes=0, keep_hours=0, most_keys=50)
    async with counting(pool, Topics, Many, Volume, settings=settings):
        await wait_until_counted(pool, {"topics", "volume", "many"})
    await assert_others_are_exact(pool, journal)
    cells = await cells_of(pool, "many")
    assert cells.total() == 60 * 10_000
    assert max(len([1 for at in cells if at[1] == start]) for start in {at[1] for at in cells}) == 51
    assert all(at[2] == OTHERS or at[2].partition("-")[2].isdigit() for at in cells)


async def test_nasty_texts_are_made_harmless(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, 10)
    await count_all(pool, Topics, Texts, Volume)
    await assert_others_are_exact(pool, journal)
    (key,) = {at[2] for at in await cells_of(pool, "texts")}
    assert len(key) < 500 and "<script>" in key and "\x1b" not in key


async def test_rows_that_the_database_refuses_set_that_statistic_aside_alone(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(cells: Any) -> Any:
        columns = columns_of_cells(cells)
        for one in columns:
            one["keys"] = ["\0" if key == "a.t3\x1fspoilt" else key for key in one["keys"]]
        return columns

    class Spoilt(Topics):
        """Gives what cannot be stored, by a fault of ours."""

        name, columns = "spoilt", ("topic", "kind")

        def count(self, event: Event) -> Any:
            yield event.topic, "spoilt"

    monkeypatch.setattr(store_module, "columns_of_cells", spoilt)
    await append(journal, 100)
    await count_all(pool, Topics, Spoilt, Volume)
    aside = await shown(pool, "spoilt")
    assert (aside.state, aside.position) == ("set_aside", 0)
    assert aside.trouble and aside.trouble.startswith("Its rows are refused. The database failed: a value cannot")
    await assert_others_are_exact(pool, journal)


async def test_the_journal_keeps_what_is_still_to_be_counted_but_not_for_one_that_is_set_aside(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_let_go(position: int) -> bool:
        return bool(await pool.fetchval("SELECT position FROM journal_readers WHERE name = 'stats'") == position)

    monkeypatch.setattr(counting_module, "MAX_FOLD", 0.3)
    later = datetime.now(UTC) + timedelta(days=1)
    await append(journal, 99)
    async with counting(pool, Topics, Sleeps):
        await eventually(partial(is_let_go, 99))
    await append(journal, 1)
    assert await journal.sweep(pool, later, 1000, None) == Swept(99, "stats")
    async with counting(pool, Topics, Sleeps):
        await eventually(partial(is_let_go, 100))
    hung = await shown(pool, "sleeps")
    assert (hung.state, hung.position) == ("set_aside", 99)
    assert await journal.sweep(pool, later, 1000, None) == Swept(1, None)
