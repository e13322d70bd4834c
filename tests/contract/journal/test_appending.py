"""Events are appended once each, numbered without holes in the order of commits, whatever they hold and whoever appends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from promise_pub import concurrency
from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.event_records import NewEvent
from promise_pub.features.journal import appending, page_queries, store
from promise_pub.features.journal.appending import prepare
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.ports import Appended, Numbered, Selection
from promise_pub.features.journal.store import StoredJournal
from tests.journal.new_events import END_OTHERS, LONG, all_events, an_event, as_new, random_events, tell

FIVE_MINUTES = timedelta(minutes=5)

SOMEBODY_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS here ON here.oid = database
               WHERE NOT granted AND datname = current_database())
    OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


async def waits(pool: asyncpg.Pool, task: asyncio.Task[Any]) -> bool:
    """Tells whether it comes to wait for a lock, before it is done."""
    while not task.done():
        if await pool.fetchval(SOMEBODY_WAITS):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_events_come_back_as_they_were_numbered_from_one(journal: StoredJournal) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    full = an_event(
        "m1", at=moment, sender="s", subject="u", actor="who", content_type="text/plain", headers={"a": [1, {"b": None}]},
        body=bytes(range(256)),
    )  # fmt: skip
    bare = NewEvent(key=uuid4(), source="api", topic="", body=b"", at=moment)
    assert await journal.append([full, bare]) == Appended(2, 0)
    first, second = await all_events(journal)
    assert (first.seq, second.seq) == (1, 2)
    assert [as_new(first), as_new(second)] == [full, bare]
    assert await journal.get(2) == second
    for seq in (0, 3, -1):
        with pytest.raises(EventNotFound):
            await journal.get(seq)


async def test_the_head_tells_what_there_is(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    empty = await journal.head()
    assert (empty.seq, empty.oldest, empty.published, empty.waiting) == (0, 1, 0, False)
    assert empty.received_at == datetime(1970, 1, 1, tzinfo=UTC)
    await journal.append([an_event(), an_event()])
    await tell(pool, "m")
    await journal.move_published(2)
    await journal.move_published(1)
    head = await journal.head()
    assert (head.seq, head.oldest, head.published, head.waiting, head.journal) == (2, 1, 2, True, empty.journal)
    assert head.received_at == (await journal.get(2)).received_at


async def test_an_event_that_comes_twice_is_one(journal: StoredJournal) -> None:
    first = [an_event("1", body=b"first"), an_event("2"), an_event("1", body=b"second")]
    assert await journal.append(first) == Appended(2, 1)
    assert await journal.append([an_event("3"), an_event("2"), an_event("4"), an_event("3")]) == Appended(2, 2)
    assert await journal.append([]) == Appended(0, 0)
    events = await all_events(journal)
    assert [(event.seq, event.message_id) for event in events] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]
    assert events[0].body == b"first"


async def test_who_waits_for_it_is_told_of_each_event(journal: StoredJournal) -> None:
    await journal.append([an_event("1"), an_event("2"), an_event("3")])
    bad = an_event(source="nobody")
    events = [an_event("2"), an_event("4"), bad, an_event("4"), an_event("1"), an_event("5")]
    keys = {event.message_id: event.key for event in events}
    told = await journal.append_and_number(events)
    assert told.numbers == {keys["2"]: 2, keys["4"]: 4, keys["1"]: 1, keys["5"]: 5}
    assert {*told.added} == {keys["4"], keys["5"]} and told.refused == (bad,)
    assert (await journal.append_and_number([an_event("5")])).added == frozenset()
    assert await journal.append_and_number([]) == Numbered({}, frozenset())


async def test_where_its_number_cannot_be_kept_nothing_is_added(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any, **__: Any) -> None:
        raise asyncpg.ConnectionDoesNotExistError("gone")

    monkeypatch.setattr(journal._sql, "move_head", lost)
    with pytest.raises(DatabaseUnavailable):
        await journal.append_and_number([an_event("1")])
    assert (await journal.head()).seq == 0


async def test_no_event_happens_long_after_it_came(journal: StoredJournal) -> None:
    now = datetime.now(UTC)
    times = [
        None,
        now + timedelta(hours=1),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),  # as asyncpg writes it, before any time
        datetime.min.replace(tzinfo=timezone(timedelta(hours=3))),
        now + timedelta(minutes=4),
        now,
        datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC),
    ]
    await journal.append([an_event(at=at) for at in times])
    events = await all_events(journal)
    received = events[0].received_at
    assert all(event.received_at == received for event in events)
    assert [event.at for event in events] == [received] * 5 + times[5:]


async def test_a_clock_that_goes_back_takes_no_arrival_back(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    await pool.execute("UPDATE journal_head SET received_at = $1", ahead)
    await journal.append([an_event(), an_event(at=ahead + FIVE_MINUTES)])
    assert [(event.received_at, event.at) for event in await all_events(journal)] == [
        (ahead, ahead),
        (ahead, ahead + FIVE_MINUTES),
    ]


NASTY = [
    "a\0b",
    "\0",
    "\ud800",
    "caf\udcc3\udca9",
    '\\u0000 \\ud800 "',
    "\N{CRAB}" * 60,
    "\x01\x1b[31m\x7f\u2028\ufeff",
    "",
]


async def test_whatever_the_texts_are_the_event_is_kept_and_found(journal: StoredJournal) -> None:
    events = [
        an_event(
            text, topic=text, sender=text, subject=text, actor=text, content_type=text, headers={text: [text, {text: text}]},
            body=text.encode(errors="surrogatepass"),
        )
        for text in NASTY
    ]  # fmt: skip
    assert await journal.append(events) == Appended(len(NASTY), 0)
    assert [event.body for event in await all_events(journal)] == [event.body for event in events]
    for number, text in enumerate(NASTY, 1):
        for asked in ({"sender": text}, {"subject": text}, {"topic": text}):
            page = await journal.read(Selection(**asked))
            assert number in [event.seq for event in page.events]


REFUSED: dict[str, Callable[[], NewEvent]] = {
    "topic": lambda: an_event(topic=LONG),
    "subject": lambda: an_event(subject=LONG),
    "topic and actor": lambda: an_event(source="own", topic=LONG[:600], actor=LONG[:600]),
    "actor": lambda: an_event(source="own", actor=LONG),
    "source": lambda: an_event(source="nobody"),
    "not a number": lambda: an_event(headers={"x": float("nan")}),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_event_that_cannot_be_stored_costs_no_other(journal: StoredJournal, name: str) -> None:
    bad = [REFUSED[name](), REFUSED[name]()]
    events = [an_event(str(number)) for number in range(50)]
    batch = [*events[:17], bad[0], *events[17:], bad[1], events[3]]
    assert await journal.append(batch) == Appended(50, 1, (*bad,))
    assert [(event.seq, event.message_id) for event in await all_events(journal)] == [
        (number + 1, str(number)) for number in range(50)
    ]
    assert await journal.append(bad) == Appended(0, 0, (*bad,))
    assert (await journal.head()).seq == 50


async def test_a_whole_batch_that_cannot_be_stored_is_refused_in_time(journal: StoredJournal) -> None:
    for batch in ([an_event(subject=LONG) for _ in range(1000)], [an_event(source="nobody") for _ in range(100)]):
        assert await journal.append(batch) == Appended(0, 0, (*batch,))


async def test_nobody_sees_a_later_event_before_an_earlier_one(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    async with journal._appending(30) as (_, turn):
        assert len((await turn.append(await prepare([an_event("first"), an_event("both")]))).added) == 2
        second = asyncio.create_task(journal.append([an_event("both"), an_event("second")]))
        assert await waits(pool, second)
        assert (await journal.read(Selection(after=0))).events == []
    assert await second == Appended(1, 1), "it saw what it had waited for"
    assert [event.message_id for event in await all_events(journal)] == ["first", "both", "second"]


async def test_of_many_who_append_at_once_each_event_is_there_once(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    random = Random(7)
    events = random_events(random, 1200, [None])
    events = [an_event(str(number), body=event.body) for number, event in enumerate(events)]

    async def append_some() -> int:
        mine = random.choices(events, k=1500)
        added = 0
        while mine:
            size = random.randrange(1, 200)
            outcome = await journal.append(mine[:size])
            assert outcome.added + outcome.known == len(mine[:size])
            added += outcome.added
            mine = mine[size:]
        return added

    seen: list[int] = []
    done = asyncio.Event()

    async def follow() -> None:
        ended = False
        while not ended:
            ended = done.is_set()
            while (page := await journal.read(Selection(after=seen[-1] if seen else 0, limit=1000))).events:
                seen.extend(event.seq for event in page.events)

    following = asyncio.create_task(follow())
    added = sum(await asyncio.gather(*(append_some() for _ in range(4))))
    done.set()
    await following
    kept = await all_events(journal)
    assert [event.seq for event in kept] == seen == [*range(1, added + 1)]
    assert len({event.message_id for event in kept}) == added
    assert all(one.received_at <= other.received_at for one, other in pairwise(kept))


async def test_whoever_is_cut_off_in_the_middle_has_appended_nothing(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with journal._appending(30) as (_, turn):
            await turn.append(await prepare([an_event("1")]))
            await pool.execute(END_OTHERS)
    assert (await journal.head()).seq == 0
    assert await journal.append([an_event("1"), an_event("2")]) == Appended(2, 0)


async def test_one_who_says_nothing_loses_its_turn(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_TIMEOUT", 300)
    with pytest.raises(DatabaseError):
        async with journal._appending(30) as (_, turn):
            await turn.append(await prepare([an_event("lost")]))
            assert await journal.append([an_event("next")]) == Appended(1, 0)
    assert [event.message_id for event in await all_events(journal)] == ["next"]


async def test_a_turn_that_does_not_come_is_told(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal._appending(30):
        monkeypatch.setattr(store, "LOCK_TIMEOUT", 100)
        with pytest.raises(DatabaseError) as caught:
            await journal.append([an_event()])
    assert caught.value.passes


async def test_long_headers_leave_others_their_turn(journal: StoredJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value is turned into JSON by itself, and back: nobody waits for all of them."""
    monkeypatch.setattr(concurrency, "TURN", -1)
    turns = asyncio.Queue[None]()

    def counted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(given: Any) -> Any:
            asyncio.get_running_loop().call_soon(turns.put_nowait, None)
            waited.append(turns.qsize())
            return function(given)

        return call

    monkeypatch.setattr(appending, "row_of", counted(appending.row_of))
    monkeypatch.setattr(page_queries, "event_of", counted(page_queries.event_of))
    for work in (journal.append([an_event() for _ in range(50)]), journal.read(Selection(after=0))):
        waited: list[int] = []
        turns = asyncio.Queue()
        await work
        assert waited == [*range(50)]
