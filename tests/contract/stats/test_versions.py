"""New versions are counted beside the old ones, and carry over what the journal does not have any more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import counting as counting_module
from promise_pub.features.stats import keeper, registry
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.store import StatsStore
from promise_pub.statistics import Counting, Event, Latest
from tests.journal.new_events import all_events, an_event
from tests.stats.keeping import (
    WIDTHS,
    Cells,
    Topics,
    append,
    cells_of,
    count_all,
    count_topics,
    counting,
    eventually,
    expected_topics,
    shown,
    version_of,
    wait_until_counted,
)

START = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
TopicsTwo = version_of(Topics, 2)


class Shouted(Topics):
    """Events by topic, in capitals."""

    version = 2

    def count(self, event: Event) -> Any:
        yield event.topic.upper()


async def versions(store: StatsStore) -> list[tuple[int, bool]]:
    return [(one.layout.version, one.shown) for one in await store.list()]


async def wait_for_version(pool: asyncpg.Pool, version: int, name: str = "topics") -> None:
    async def is_there() -> bool:
        all_versions = [one for one in await StatsStore(pool).list() if one.layout.name == name]
        return [(one.layout.version, one.shown) for one in all_versions] == [(version, True)]

    await eventually(is_there)


async def arrive(pool: asyncpg.Pool, step: timedelta, start: datetime = START) -> None:
    """Lets events arrive one after the other, and happen at most five minutes later and ten hours earlier."""
    random = Random(9)
    for row in await pool.fetch("SELECT seq FROM journal_events ORDER BY seq"):
        arrived = start + row["seq"] * step
        at = arrived + timedelta(seconds=random.choice([300, 299, 10, 0, -1, -60, -3600, -36_000]))
        await pool.execute(
            "UPDATE journal_events SET received_at = $1, at = $2 WHERE seq = $3", arrived, at, row["seq"]
        )


async def sweep(pool: asyncpg.Pool, journal: StoredJournal, count: int) -> None:
    """Sweeps the first events, whoever has still to read them."""
    await pool.execute("DELETE FROM journal_readers")
    await pool.execute("UPDATE journal_events SET received_at = received_at WHERE seq <= $1", count)
    assert (await journal.sweep(pool, datetime.now(UTC) + timedelta(days=1), count, None)).deleted == count


async def test_a_version_that_is_raised_while_events_come_replaces_the_old_one_exactly(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_module, "CHUNK", 50)
    monkeypatch.setattr(counting_module, "MAX_EVENTS", 100)
    await append(journal, 3_000)
    await count_all(pool, Topics)
    before = await cells_of(pool, "topics")
    async with counting(pool, TopicsTwo):
        for _ in range(10):
            assert before <= await cells_of(pool, "topics"), "readers see what the old one counted, or more"
            await append(journal, 100)
            await asyncio.sleep(0.02)
        await wait_for_version(pool, 2)
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_what_the_journal_has_is_counted_by_the_new_version_alone(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 500)
    await count_all(pool, Topics)
    await count_all(pool, Shouted)
    await wait_for_version(pool, 2)
    keys = {key for _, _, key in await cells_of(pool, "topics")}
    assert keys == {f"A.T{n}" for n in range(7)}


@pytest.mark.parametrize("step", [timedelta(seconds=20), timedelta(minutes=9), timedelta(hours=3)])
async def test_after_a_sweep_old_windows_stay_to_the_digit_and_new_ones_are_exact(
    pool: asyncpg.Pool, journal: StoredJournal, step: timedelta
) -> None:
    await append(journal, 400)
    await arrive(pool, step)
    events = await all_events(journal)
    await count_all(pool, Topics)
    old = await cells_of(pool, "topics")
    await sweep(pool, journal, 150)
    # Some come before the new version is begun, and are not counted by the old one.
    await append(journal, 5, now=START)
    await count_all(pool, TopicsTwo)
    await wait_for_version(pool, 2)
    await append(journal, 5, now=START)
    await count_all(pool, TopicsTwo)
    late = (await all_events(journal))[-10:]
    new = await cells_of(pool, "topics")
    assert old == count_topics(events)
    assert new == old + count_topics(late)
    assert (await shown(pool, "topics")).counted_from == 1


async def test_the_new_version_counts_all_windows_that_no_swept_event_can_lie_in(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 400)
    await arrive(pool, timedelta(minutes=9))
    await count_all(pool, Topics)
    old = await cells_of(pool, "topics")
    await sweep(pool, journal, 150)
    kept = await all_events(journal)
    await count_all(pool, Shouted)
    await wait_for_version(pool, 2)
    horizon = kept[0].received_at + timedelta(minutes=5)
    new = await cells_of(pool, "topics")
    carried = {at for at in new if at[1] <= horizon}
    assert {at: new[at] for at in carried} == {at: count for at, count in old.items() if at[1] <= horizon}
    expected: Cells = Cells()
    for event in kept:
        for width in WIDTHS:
            if width and start_of(event.at, width) > horizon:
                expected[width, start_of(event.at, width), event.topic.upper()] += 1
    assert {at: new[at] for at in new if at not in carried} == expected


class Newest(Latest):
    """The newest body of each topic."""

    name, columns = "newest", ("topic",)

    def entry(self, event: Event) -> Any:
        yield event.topic, event.data


async def test_the_newest_entries_are_carried_over(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    for n, topic in enumerate(["a", "b", "a", "c"]):
        await journal.append([an_event(topic=topic, body=b'{"n": %d}' % n, at=START + timedelta(hours=n))])
    await count_all(pool, Newest)
    await sweep(pool, journal, 2)
    await count_all(pool, version_of(Newest, 2))
    await wait_for_version(pool, 2, "newest")
    rows = await pool.fetch("SELECT key, seq, value FROM stats_latest ORDER BY key")
    assert [tuple(row) for row in rows] == [("a", 3, '{"n": 2}'), ("b", 2, '{"n": 1}'), ("c", 4, '{"n": 3}')]


async def test_other_columns_carry_nothing_over_and_the_old_version_stays_readable(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore
) -> None:
    await append(journal, 300)
    await count_all(pool, Topics)
    await sweep(pool, journal, 100)
    await count_all(pool, version_of(Topics, 2, columns=("kind",)))
    assert await versions(store) == [(1, False), (2, True)]
    assert (await shown(pool, "topics")).counted_from == 101
    assert await cells_of(pool, "topics") == await expected_topics(journal)
    assert await pool.fetchval("SELECT sum(count)::int FROM stats_cells JOIN stats_statistics ON id = statistic WHERE version = 1 AND width = 0") == 300  # fmt: skip
    # The next one replaces the second, and leaves the first.
    await count_all(pool, version_of(Topics, 3, columns=("kind",)))

    async def is_replaced() -> bool:
        return await versions(store) == [(1, False), (3, True)]

    async with counting(pool, version_of(Topics, 3, columns=("kind",))):
        await eventually(is_replaced)


async def test_other_columns_need_no_old_version_where_the_journal_has_all(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 100)
    await count_all(pool, Topics)
    async with counting(pool, version_of(Topics, 2, columns=("kind",))):
        await wait_for_version(pool, 2)


async def test_other_columns_without_a_new_version_are_refused(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, 50)
    await count_all(pool, Topics)
    before = await cells_of(pool, "topics")
    await append(journal, 50)
    await count_all(pool, version_of(Topics, 1, columns=("kind",)))
    refused = await shown(pool, "topics")
    assert (refused.state, refused.position, refused.layout.columns) == ("set_aside", 50, ("topic",))
    assert refused.trouble == "Its kind, columns or intervals have changed: give it a new version."
    assert await cells_of(pool, "topics") == before
    await count_all(pool, Topics)
    assert (await shown(pool, "topics")).state == "going"
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_an_older_version_is_refused_and_the_newer_one_stays(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore
) -> None:
    await append(journal, 50)
    await count_all(pool, TopicsTwo)
    await append(journal, 50)
    await count_all(pool, Topics)
    kept = await shown(pool, "topics")
    assert (kept.layout.version, kept.state, kept.position) == (2, "absent", 50)
    assert kept.trouble == "Version 1 is installed, which is older: version 2 is kept, and not counted."
    await count_all(pool, TopicsTwo)
    assert (await shown(pool, "topics")).trouble is None
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_a_version_that_is_given_up_before_it_was_shown_is_deleted(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_module, "CHUNK", 5)
    monkeypatch.setattr(counting_module, "MAX_EVENTS", 5)
    await append(journal, 1_000)
    await count_all(pool, Topics)
    async with counting(pool, TopicsTwo):

        async def is_begun() -> bool:
            return any(one.layout.version == 2 and one.position > 0 for one in await store.list())

        await eventually(is_begun)
    assert [version for version, _ in await versions(store)] == [1, 2]
    monkeypatch.undo()
    async with counting(pool, version_of(Topics, 3)):
        await wait_for_version(pool, 3)
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_what_is_not_installed_is_absent_and_goes_on_where_it_was(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore
) -> None:
    await append(journal, 50)
    await count_all(pool, Topics)
    async with counting(pool):

        async def is_absent() -> bool:
            return (await shown(pool, "topics")).state == "absent"

        await eventually(is_absent)
    await append(journal, 50)
    await count_all(pool, Topics)
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_a_rebuild_counts_anew_beside_what_is_shown(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PIECE", 10)
    await append(journal, 500)
    await count_all(pool, Topics)
    await pool.execute("UPDATE stats_cells SET count = count + 1")
    assert not await store.rebuild("nobody")
    async with counting(pool, Topics):
        for _ in range(3):
            assert await store.rebuild("topics")
        await wait_for_version(pool, 1)
        await append(journal, 50)
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_a_rebuild_and_a_forgotten_statistic_are_noticed_with_the_next_event(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "REFRESH_EVERY", 3600.0)
    await append(journal, 50)
    async with counting(pool, Topics):
        await wait_until_counted(pool, {"topics"})
        for ask in (store.rebuild, store.forget):
            assert await ask("topics")
            await append(journal, 50)
            await wait_for_version(pool, 1)
            await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_what_is_forgotten_is_gone_and_counted_anew_where_it_is_installed(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PIECE", 10)
    await append(journal, 500)
    await count_all(pool, Topics, Newest)
    assert not await store.forget("nobody")
    assert await store.forget("newest")
    assert [one.layout.name for one in await store.list()] == ["topics"]
    async with counting(pool, Topics):
        assert await store.forget("topics")
        await wait_for_version(pool, 1)
        await wait_until_counted(pool, {"topics"})
    assert await cells_of(pool, "topics") == await expected_topics(journal)


async def test_two_who_delete_a_version_at_once_leave_nothing(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PIECE", 10)
    await append(journal, 200)
    await count_all(pool, Topics)
    assert await asyncio.gather(store.forget("topics"), store.forget("topics"), store.forget("topics"))
    assert not await store.list() and not await pool.fetchval("SELECT count(*) FROM stats_cells")


async def test_forgetting_that_was_cut_off_is_ended_by_whoever_counts(
    pool: asyncpg.Pool, journal: StoredJournal, store: StatsStore
) -> None:
    await append(journal, 100)
    await count_all(pool, Topics)
    await pool.execute("UPDATE stats_statistics SET shown = false, state = 'absent'")
    async with counting(pool):

        async def is_gone() -> bool:
            return not await store.list() and not await pool.fetchval("SELECT count(*) FROM stats_cells")

        await eventually(is_gone)


class Quick(Counting):
    """Events of the last hour."""

    name, intervals, backlog = "quick", (timedelta(hours=1),), timedelta(hours=1)

    def count(self, event: Event) -> Any:
        yield ()


async def test_a_new_statistic_begins_within_its_backlog(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, 100)
    await arrive(pool, timedelta(minutes=5), datetime.now(UTC) - timedelta(minutes=500))
    await count_all(pool, Quick)
    begun = await shown(pool, "quick")
    assert 86 <= begun.counted_from <= 90 and begun.position == 100
    assert not await pool.fetchval("SELECT count(*) FROM stats_gaps")


async def test_one_that_was_away_goes_on_within_its_backlog_and_notes_the_gap(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await append(journal, 20)
    await count_all(pool, Quick)
    await append(journal, 80)
    await arrive(pool, timedelta(minutes=5), datetime.now(UTC) - timedelta(minutes=500))
    await count_all(pool, Quick)
    gap = await pool.fetchrow("SELECT after, up_to, why FROM stats_gaps")
    assert gap and gap["after"] == 20 and 85 <= gap["up_to"] <= 89
    assert gap["why"] == "arrived longer ago than its backlog"
    assert await pool.fetchval("SELECT sum(count)::int FROM stats_cells") == 20 + 100 - gap["up_to"]


async def test_what_was_swept_before_it_was_counted_is_a_gap(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    await append(journal, 50)
    await count_all(pool, Topics)
    await append(journal, 50)
    await sweep(pool, journal, 70)
    await count_all(pool, Topics)
    assert [tuple(row) for row in await pool.fetch("SELECT after, up_to, why FROM stats_gaps")] == [
        (50, 70, "swept before they were counted")
    ]
    assert (await cells_of(pool, "topics")).total() == (50 + 30) * len(WIDTHS)
