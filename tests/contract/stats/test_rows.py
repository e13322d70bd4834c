"""Rows of statistics as they are read: each once, in their order, with sums and percentiles that are those of all values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import asyncpg
import pytest

from promise_pub import db
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.stats import row_queries
from promise_pub.features.stats.errors import StatisticNotFound
from promise_pub.features.stats.questions import Gap, Row, Selection, Spark
from promise_pub.features.stats.records import OTHERS, WHOLE, LeftOut
from promise_pub.features.stats.row_queries import StoredStatistics
from promise_pub.features.stats.sketches import deflate, member_digest, sketch
from promise_pub.histogram import Histogram, bucket_of
from promise_pub.settings.model import DatabaseSettings
from tests.stats.tables import DAY, HOUR, START, a_layout, add_cells, add_counts, add_statistic, key


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=4) as pool:
        yield pool


@pytest.fixture
def stored(pool: asyncpg.Pool) -> StoredStatistics:
    return StoredStatistics(pool)


async def select(stored: StoredStatistics, name: str = "runs", width: int = 3_600, **more: object) -> Selection:
    details = await stored.find(name)
    return replace(Selection(statistic=details.known.registered, width=width), **more)  # type: ignore[arg-type]


async def all_pages(stored: StoredStatistics, selection: Selection, limit: int) -> list[Row]:
    found: list[Row] = []
    while True:
        rows, total = await stored.page(selection, limit, len(found))
        found += rows
        if not rows:
            assert len(found) == total
            return found


async def test_a_statistic_is_found_with_all_that_is_told_of_it(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    layout = a_layout(given={"a": [1]}, backlog=60)
    old = await add_statistic(pool, layout, position=5, left_out=3, state="set_aside", trouble="it fails")
    new = await add_statistic(pool, replace(layout, version=2), position=2, counted_from=2, shown=False)
    await add_statistic(pool, a_layout("new"), shown=False)
    await add_counts(pool, old, 3_600, [(START + HOUR, "", 1), (START, "", 1)])
    await pool.execute("INSERT INTO stats_left_out SELECT $1, n, 'E' || n FROM generate_series(1, 200) AS n", old)
    await pool.execute("INSERT INTO stats_gaps VALUES ($1, 0, 7, 'swept')", old)

    found = await stored.find("runs")
    assert found.known.registered.layout == layout and found.known.registered.id == old
    assert (found.known.registered.state, found.known.registered.trouble) == ("set_aside", "it fails")
    assert found.known.next and (found.known.next.id, found.known.next.position) == (new, 2)
    assert found.others == [2] and found.gaps == [Gap(0, 7, "swept")] and found.oldest == {3_600: START}
    assert len(found.left_out) == 100 and found.left_out[0] == LeftOut(old, 1, "E1")
    second = await stored.find("runs", 2)
    assert second.known.registered.id == new and second.others == [1] and second.oldest == {}
    assert [one.registered.layout.name for one in await stored.list()] == ["new", "runs"]
    assert [one.next and one.next.id for one in await stored.list()] == [None, new]
    for name, version in (("none", None), ("runs", 3), ("\0\ud800", None)):
        with pytest.raises(StatisticNotFound, match="There is no"):
            await stored.find(name, version)


@pytest.mark.parametrize("descending", [False, True])
async def test_every_row_is_on_one_page(pool: asyncpg.Pool, stored: StoredStatistics, descending: bool) -> None:
    counts = [(START + n // 5 * HOUR, key(str(n % 5), "x"), n) for n in range(250)]
    await add_counts(pool, await add_statistic(pool, a_layout()), 3_600, counts)
    await add_counts(pool, await add_statistic(pool, a_layout("other")), 3_600, counts)
    selection = await select(stored, descending=descending)
    expected = [Row(start, name, (count,)) for start, name, count in sorted(counts, reverse=descending)]
    for limit in (1, 7, 100, 250, 500):
        assert await all_pages(stored, selection, limit) == expected
    assert await stored.page(selection, 100, 10**12) == ([], 250)
    assert await stored.whole(selection) == sorted(expected)


async def test_spans_and_keys_choose_rows(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    counts = [
        (START + n * HOUR, key(state, verdict), 1) for n in range(10) for state in "ab" for verdict in ("", "%", "é")
    ]
    await add_counts(pool, await add_statistic(pool, a_layout()), 3_600, counts)
    selection = await select(stored, since=START + 2 * HOUR, until=START + 4 * HOUR)
    for keys in ((None, None), ("a", None), (None, "%"), (None, ""), ("b", "é"), ("none", None)):
        rows, total = await stored.page(replace(selection, keys=keys), 500, 0)
        expected = {
            (start, name)
            for start, name, _ in counts
            if START + 2 * HOUR <= start < START + 4 * HOUR
            and all(want in (None, part) for want, part in zip(keys, name.split("\x1f"), strict=True))
        }
        assert {(row.at, row.key) for row in rows} == expected and total == len(expected)


async def test_keys_with_most_are_kept_and_the_others_summed_up(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    random = Random(1)
    counts = [(START + n * HOUR, str(k), random.randrange(10 * (k + 1))) for n in range(5) for k in range(20)]
    counts += [(START + n * HOUR, OTHERS, 1) for n in range(5)]
    await add_counts(pool, await add_statistic(pool, a_layout(columns=("k",))), 3_600, counts)
    sums = Counter[str]()
    for _, name, count in counts:
        sums[name] += count
    kept = {name for name, _ in sums.most_common(4)}
    expected = Counter[tuple[object, str]]()
    for start, name, count in counts:
        expected[start, name if name in kept else OTHERS] += count
    rows = await stored.whole(await select(stored), 4)
    assert {(row.at, row.key): row.values[0] for row in rows} == expected
    assert rows == sorted(rows, key=lambda row: (row.at, row.key.encode()))
    assert [row.key for row in await stored.whole(await select(stored), 0)] == [OTHERS] * 5


async def test_percentiles_are_those_of_all_values_two_percent_off_at_most(
    pool: asyncpg.Pool, stored: StoredStatistics
) -> None:
    random = Random(2)
    values = {(hour, name): [random.lognormvariate(1, 2) for _ in range(500)] for hour in range(3) for name in "ab"}
    cells = []
    for (hour, name), measured in values.items():
        by_bucket: dict[int, list[float]] = {}
        for value in measured:
            by_bucket.setdefault(bucket_of(value), []).append(value)
        for bucket, some in by_bucket.items():
            exact = [round(1000 * value) for value in some]
            cells.append((START + hour * HOUR, name, bucket, len(some), sum(exact), max(exact)))
    layout = a_layout("latency", kind="measuring", columns=("mode",), unit="ms")
    await add_cells(pool, await add_statistic(pool, layout), 3_600, cells)
    selection = await select(stored, "latency", descending=False)

    def check(row: Row, measured: list[float]) -> None:
        count, mean, p50, p95, p99, most = row.values
        ordered = sorted(measured)
        assert count == len(measured) and most == pytest.approx(ordered[-1], abs=0.001)
        assert mean == pytest.approx(sum(measured) / len(measured), rel=0.001)
        histogram = Histogram()
        for value in measured:
            histogram.add(value, 1)
        for share, told in ((0.5, p50), (0.95, p95), (0.99, p99)):
            assert told == pytest.approx(ordered[-(-len(ordered) * int(share * 100) // 100) - 1], rel=0.0201)
            assert told == pytest.approx(histogram.percentile(share), abs=0.001)

    rows, total = await stored.page(selection, 4, 0)
    rest, _ = await stored.page(selection, 4, 4)
    assert total == 6
    for row, measured in zip([*rows, *rest], values.values(), strict=True):
        check(row, measured)
    assert await stored.whole(selection) == [*rows, *rest]
    merged = await stored.whole(selection, 0)
    for hour, row in enumerate(merged):
        check(row, values[hour, "a"] + values[hour, "b"])


async def test_the_newest_entry_comes_first(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    statistic = await add_statistic(pool, a_layout("latest", kind="latest", columns=("file",), intervals=()))
    for n in range(30):
        await pool.execute(
            "INSERT INTO stats_latest VALUES ($1, $2, $3, $4, $5)",
            *(statistic, f"f{n}", START + n * DAY, n, json.dumps({"n": n, "é": "\x01<"})),
        )
    selection = await select(stored, "latest", 60)
    rows = await all_pages(stored, selection, 7)
    assert [row.key for row in rows] == [f"f{n}" for n in range(29, -1, -1)]
    assert rows[0].at == START + 29 * DAY and json.loads(str(rows[0].values[0])) == {"n": 29, "é": "\x01<"}
    some, total = await stored.page(replace(selection, since=START + DAY, until=START + 3 * DAY), 10, 0)
    assert [row.key for row in some] == ["f2", "f1"] and total == 2
    assert [row.key for row in await stored.whole(replace(selection, keys=("f3",)))] == ["f3"]


async def test_different_members_are_estimated(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    statistic = await add_statistic(pool, a_layout("people", kind="distinct", columns=()))
    for n in range(1, 4):
        digests = [member_digest(f"{n}-{member}") for member in range(n * 1000)]
        await pool.execute(
            "INSERT INTO stats_distinct VALUES ($1, 3600, $2, '', $3)",
            *(statistic, START + n * HOUR, deflate(sketch(digests))),
        )
    rows, total = await stored.page(await select(stored, "people", descending=False), 10, 0)
    assert total == 3 and [row.values[0] for row in rows] == pytest.approx([1000, 2000, 3000], rel=0.06)
    assert (await stored.find("people")).oldest == {3_600: START + HOUR}


async def test_all_time_is_one_window(pool: asyncpg.Pool, stored: StoredStatistics) -> None:
    await add_counts(pool, await add_statistic(pool, a_layout(intervals=(0,))), WHOLE, [(START, key("a", "b"), 2**62)])
    rows, total = await stored.page(await select(stored, width=WHOLE), 10, 0)
    assert (rows[0].values, total) == ((2**62,), 1)


async def test_sums_of_the_last_windows_are_read_for_many_statistics(
    pool: asyncpg.Pool, stored: StoredStatistics
) -> None:
    one, other = [await add_statistic(pool, a_layout(name)) for name in ("one", "other")]
    await add_counts(pool, one, 86_400, [(START + n * DAY, str(k), n) for n in range(5) for k in range(3)])
    await add_counts(pool, other, 3_600, [(START, "", 7)])
    found = await stored.sparks({one: (86_400, START + 3 * DAY), other: (3_600, START)})
    assert found == {one: [Spark(START + 3 * DAY, 9), Spark(START + 4 * DAY, 12)], other: [Spark(START, 7)]}


async def test_a_question_without_an_answer_ends(
    pool: asyncpg.Pool, stored: StoredStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_counts(pool, await add_statistic(pool, a_layout()), 3_600, [(START, "", 1)])
    selection = await select(stored)
    monkeypatch.setattr(row_queries, "ANSWER_TIMEOUT", 0.3)
    monkeypatch.setattr(row_queries, "SPARKS_TIMEOUT", 0.3)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE stats_cells, stats_statistics")
        for question in (
            lambda: stored.list(),
            lambda: stored.find("runs"),
            lambda: stored.page(selection, 1, 0),
            lambda: stored.whole(selection, 2),
            lambda: stored.sparks({1: (3_600, START)}),
        ):
            with pytest.raises(DatabaseUnavailable):
                await question()
