"""A question finds the events that a look at each of them would find, page after page, each once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import asyncpg
import pytest

from promise_pub.event_records import Event
from promise_pub.features.journal import page_queries
from promise_pub.features.journal.ports import Selection
from promise_pub.features.journal.store import StoredJournal
from promise_pub.topics import matches, pattern_as_regex
from tests.journal.new_events import an_event, random_events, select_naively
from tests.journal.patterns import NASTY

START = datetime(2026, 3, 1, tzinfo=UTC)
EVENTS = 2000
FILTERS: list[dict[str, Any]] = [
    *(
        {"topic": topic}
        for topic in ("run.ended", "run.*", "run.#", "#", "*", "", "#.ended", "none", "none.#", "*.#.b")
    ),
    *({"sender": sender} for sender in ("one", "none")),
    *({"subject": subject} for subject in ("s1", "none")),
    *({"source": source} for source in ("own", "import")),
    {"topic": "run.ended", "sender": "two", "subject": "s2", "source": "bus"},
    {"topic": "run.*", "subject": "s2"},
    {"topic": "rare.#", "sender": "one"},
    {},
]
DAY = timedelta(days=1)
SPANS: list[dict[str, Any]] = [
    {},
    {"since": START + 3 * DAY},
    {"until": START + 5 * DAY},
    {"since": START + 3 * DAY, "until": START + 5 * DAY},
    {"since": START + 5 * DAY, "until": START + 3 * DAY},
    {"since": START - DAY, "until": START + 99 * DAY},
    {"since": START + 99 * DAY},
    {"until": START - DAY},
    {"since": datetime.min.replace(tzinfo=UTC), "until": datetime.max.replace(tzinfo=UTC)},
]


class Explaining:
    """A connection that notes which indexes its queries would read; where a table is read without, its name."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.read: set[str] = set()

    async def fetch(self, query: str, *arguments: Any) -> Any:
        plan = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
        self.read |= {*re.findall(r'"Index Name": "(.+?)"', plan)} | {
            *re.findall(r'"Seq Scan",[^}]+"Relation Name": "(.+?)"', plan)
        }
        return await self._connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> Any:
        """Passes on what has no index to choose: the head of the journal is one row."""
        return await self._connection.fetchrow(query, *arguments)


async def fill(pool: asyncpg.Pool, journal: StoredJournal, random: Random) -> list[Event]:
    """Events that arrived in ten days, by hand: some late, some up to 5 minutes early."""
    moments: list[datetime | None] = [START] * EVENTS
    events = random_events(random, EVENTS, moments)
    for first in range(0, EVENTS, 500):
        await journal.append(events[first : first + 500])
    await pool.execute(
        "UPDATE journal_events SET received_at = $1::timestamptz + (seq / 7 * 7) * interval '10 days' / $2::integer",
        START,
        EVENTS,
    )
    await pool.execute(
        "UPDATE journal_events SET at = received_at + CASE WHEN seq % 11 = 0 THEN - interval '1 day' * (seq % 5) "
        "WHEN seq % 3 = 0 THEN interval '5 minutes' ELSE interval '0' END"
    )
    return [await journal.get(seq) for seq in range(1, EVENTS + 1)]


async def follow(journal: StoredJournal, ascending: bool, start: int | None, **asked: Any) -> tuple[list[Event], int]:
    """Follows `next` to the end. Returns the events, and how many pages it took."""
    found: list[Event] = []
    position = start
    for count in range(1, 1000):
        page = await journal.read(Selection(**asked, **{"after" if ascending else "before": position}))
        found += page.events
        assert len(page.events) <= asked["limit"]
        if page.next is None:
            return found, count
        assert position is None or (page.next > position if ascending else page.next < position)
        position = page.next
    raise AssertionError("it has no end")


@pytest.mark.parametrize(("most_seen", "most_timed"), [(100_000, 500_000), (150, 200)])
async def test_every_question_finds_what_a_look_at_every_event_finds(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch, most_seen: int, most_timed: int
) -> None:
    monkeypatch.setattr(page_queries, "MOST_SEEN", most_seen)
    monkeypatch.setattr(page_queries, "MOST_SCATTERED", most_seen // 2)
    monkeypatch.setattr(page_queries, "MOST_TIMED", most_timed)
    events = await fill(pool, journal, Random(most_seen + most_timed))
    longest = 0
    for asked, span, (ascending, start) in product(
        FILTERS, SPANS, [(True, 0), (True, 1200), (False, None), (False, 700)]
    ):
        found, count = await follow(journal, ascending, start, limit=97, **asked, **span)
        selection = Selection(**{"after" if ascending else "before": start}, **asked, **span)
        assert found == select_naively(events, selection), selection
        longest = max(longest, count)
    assert longest >= EVENTS / min(97, most_seen)


async def test_a_question_looks_at_so_many_events_and_says_where_it_stopped(
    journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_queries, "MOST_SEEN", 10)
    monkeypatch.setattr(page_queries, "MOST_SCATTERED", 5)
    topics = "abcd" * 10
    await journal.append([an_event(topic=topic, subject="even" if topic in "bd" else None) for topic in topics])
    for asked, stops in [
        ({"topic": "none.*"}, (10, 31)),
        ({"sender": "none"}, (10, 31)),
        ({"topic": "none"}, (None, None)),
        ({"topic": "a", "sender": "none"}, (17, 21)),
        ({"subject": "even", "sender": "none"}, (10, 32)),
        ({"topic": "b", "limit": 3}, (10, 30)),
    ]:
        ascending = await journal.read(Selection(after=0, **asked))
        descending = await journal.read(Selection(**asked))
        assert (ascending.next, descending.next) == stops, asked
        assert [len(page.events) for page in (ascending, descending)] == [asked.get("limit", 0)] * 2


async def test_a_page_ends_when_its_bodies_are_long_and_never_without_an_event(
    journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_queries, "PAGE_BYTES", 100)
    headers = len("{}")
    sizes = [size - headers for size in (10, 500, 60, 40, 97, 3, 3)]
    await journal.append([an_event(body=b"x" * size) for size in sizes])
    position, taken = 0, []
    while position is not None:
        page = await journal.read(Selection(after=position))
        taken.append([len(event.body) for event in page.events])
        position = page.next
    assert taken == [[8, 498], [58, 38], [95, 1], [1]]


async def test_a_page_ends_when_its_headers_are_long_too(
    journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_queries, "PAGE_BYTES", 1000)
    # Compressed in the table, and escaped on the way.
    await journal.append([an_event(body=b"", headers={"x": "\x01" * 100}) for _ in range(3)])
    first = await journal.read(Selection(after=0))
    assert ([event.seq for event in first.events], first.next) == ([1, 2], 2)
    assert [event.seq for event in (await journal.read(Selection(after=2))).events] == [3]


async def test_numbers_beyond_any_are_answered(journal: StoredJournal) -> None:
    await journal.append([an_event(), an_event()])
    for asked, found in [
        ({"after": -(10**30)}, [1, 2]),
        ({"after": 10**30}, []),
        ({"before": 10**30}, [2, 1]),
        ({"before": -(10**30)}, []),
    ]:
        page = await journal.read(Selection(**asked))
        assert [event.seq for event in page.events] == found
        assert page.next is None


async def test_the_database_understands_every_pattern(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    topics = [*NASTY, "a\nb", "\n", ".".join(["a"] * 128)]
    await journal.append([an_event(topic=topic) for topic in topics])
    for pattern in NASTY:
        page = await journal.read(Selection(after=0, topic=pattern, limit=1000))
        assert [event.topic for event in page.events] == [topic for topic in topics if matches(pattern, topic)], pattern
        dotted = [f".{topic}" if topic else "" for topic in topics]
        rows = await pool.fetch(
            "SELECT one ~ $2 AS found FROM unnest($1::text[]) AS one", dotted, pattern_as_regex(pattern)
        )
        assert [row["found"] for row in rows] == [matches(pattern, topic) for topic in topics], pattern


async def test_a_topic_or_a_subject_is_found_by_its_index(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    """Also where it is frequent, but all of it lies behind, so that a look at every event would seem to be soon over."""
    topics = ["old"] * 2000 + ["new"] * 2000
    for first in range(0, 4000, 1000):
        await journal.append([an_event(topic=topic, subject=topic) for topic in topics[first : first + 1000]])
    await pool.execute("ANALYZE journal_events")
    for lead, rest, start in product(
        ({"topic": "old"}, {"subject": "old"}), ({}, {"sender": "none"}), ({"after": 0}, {"before": 4001}, {})
    ):
        async with pool.acquire() as connection:
            explaining = Explaining(connection)
            await page_queries.PageQueries().read(explaining, Selection(**lead, **rest, **start))
        assert explaining.read == {f"journal_by_{one}" for one in lead}


async def test_sweeping_takes_the_first_that_are_old_and_nothing_that_is_protected(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    events = await fill(pool, journal, Random(1))
    old = events[999].received_at + timedelta(microseconds=1)
    last = max(event.seq for event in events if event.received_at < old)
    assert (await journal.sweep(pool, START - DAY, 100, None)).deleted == 0
    assert (await journal.sweep(pool, old, 100, None)).deleted == 100
    assert (await journal.head()).oldest == 101
    assert (await journal.sweep(pool, old, 100, 150)).deleted == 50
    assert (await journal.sweep(pool, old, 100, 150)).deleted == 0
    assert (await journal.head()).oldest == 151
    assert (await journal.sweep(pool, old, 10_000, EVENTS)).deleted == last - 150
    assert (await journal.sweep(pool, old, 10_000, None)).deleted == 0
    kept = events[last:]
    for asked, span in product(FILTERS, SPANS):
        found, _ = await follow(journal, True, 0, limit=1000, **asked, **span)
        assert found == select_naively(kept, Selection(after=0, **asked, **span))
    assert (await journal.sweep(pool, START + 99 * DAY, 10_000, None)).deleted == EVENTS - last
    head = await journal.head()
    assert (head.seq, head.oldest) == (EVENTS, EVENTS + 1)
    assert (await journal.sweep(pool, START + 99 * DAY, 10_000, None)).deleted == 0
    for span in SPANS:
        assert await follow(journal, False, None, limit=1000, **span) == ([], 1)
    await journal.append([an_event("next")])
    assert [event.seq for event in (await journal.read(Selection())).events] == [EVENTS + 1]
