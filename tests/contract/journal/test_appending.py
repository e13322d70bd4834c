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

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.event_records import Event, NewEvent
from promise_pub.features.journal import store
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.ports import Appended, Selection
from promise_pub.features.journal.store import StoredJournal
from tests.journal.new_events import an_event, random_events

FIVE_MINUTES = timedelta(minutes=5)
# Too long for any index, however it is compressed.
LONG = "".join(map(chr, Random(2).choices(range(0x4E00, 0x9FFF), k=4000)))

SOMEBODY_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS here ON here.oid = database
               WHERE NOT granted AND datname = current_database())
    OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def all_events(journal: StoredJournal) -> list[Event]:
    events: list[Event] = []
    position: int | None = 0
    while position is not None:
        page = await journal.read(Selection(after=position, limit=1000))
        events += page.events
        position = page.next
    return events


def as_new(event: Event) -> NewEvent:
    return NewEvent(**{name: getattr(event, name) for name in NewEvent.__dataclass_fields__})


async def waits(pool: asyncpg.Pool, task: asyncio.Task[Any]) -> bool:
    """Whether it comes to wait for a lock, before it is done."""
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
    assert await journal.find_numbers([bare.key, full.key, uuid4()]) == {full.key: 1, bare.key: 2}
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


async def test_no_event_happens_long_after_it_came(journal: StoredJournal) -> None:
    now = datetime.now(UTC)
    times = [
        None,
        now + timedelta(hours=1),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),  # as asyncpg writes it, before any time
        now + timedelta(minutes=4),
        now,
        datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC),
    ]
    await journal.append([an_event(at=at) for at in times])
    events = await all_events(journal)
    received = events[0].received_at
    assert all(event.received_at == received for event in events)
    assert [event.at for event in events] == [received] * 4 + times[4:]


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
    "actor": lambda: an_event(source="own", actor=LONG),
    "source": lambda: an_event(source="nobody"),
    "not a number": lambda: an_event(headers={"x": float("nan")}),
    "before year 1": lambda: an_event(at=datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_event_that_cannot_be_stored_costs_no_other(journal: StoredJournal, name: str) -> None:
    bad = [REFUSED[name](), REFUSED[name]()]
    events = [an_event(str(number)) for number in range(50)]
    batch = [*events[:17], bad[0], *events[17:], bad[1], events[3]]
    assert await journal.append(batch) == Appended(50, 1, bad)
    assert [(event.seq, event.message_id) for event in await all_events(journal)] == [
        (number + 1, str(number)) for number in range(50)
    ]
    assert await journal.append(bad) == Appended(0, 0, bad)
    assert (await journal.head()).seq == 50


async def test_a_whole_batch_that_cannot_be_stored_is_refused_in_time(journal: StoredJournal) -> None:
    batch = [an_event(subject=LONG) for _ in range(1000)]
    assert await journal.append(batch) == Appended(0, 0, batch)


async def test_nobody_sees_a_later_event_before_an_earlier_one(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    async with journal._appending() as connection:
        assert await journal._append(connection, [an_event("first"), an_event("both")]) == Appended(2, 0)
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
        ends = False
        while not ends:
            ends = done.is_set()
            page = await journal.read(Selection(after=seen[-1] if seen else 0, limit=1000))
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
        async with journal._appending() as connection:
            await journal._append(connection, [an_event("1")])
            await pool.execute(END_OTHERS)
    assert (await journal.head()).seq == 0
    assert await journal.append([an_event("1"), an_event("2")]) == Appended(2, 0)


async def test_one_who_says_nothing_loses_its_turn(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_TIMEOUT", 300)
    with pytest.raises(DatabaseError):
        async with journal._appending() as connection:
            await journal._append(connection, [an_event("lost")])
            assert await journal.append([an_event("next")]) == Appended(1, 0)
    assert [event.message_id for event in await all_events(journal)] == ["next"]


async def test_a_turn_that_does_not_come_is_told(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal._appending():
        monkeypatch.setattr(store, "LOCK_TIMEOUT", 100)
        with pytest.raises(DatabaseError) as caught:
            await journal.append([an_event()])
    assert caught.value.passes


async def tell(pool: Any, message_id: str, **values: Any) -> None:
    await pool.execute(
        "INSERT INTO outbox (message_id, at, topic, subject, actor, body) VALUES ($1, $2, $3, $4, $5, $6)",
        message_id,
        values.get("at", datetime(2026, 1, 2, tzinfo=UTC)),
        values.get("topic", "run.ended"),
        values.get("subject"),
        values.get("actor"),
        values.get("body", "{}"),
    )


async def test_what_is_in_the_outbox_moves_in_its_order(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    assert await journal.drain_outbox("p") == 0
    await tell(pool, "1", subject="s", actor="who", body='{"a": "é"}')
    for number in range(2, 1006):
        await tell(pool, str(number))
    await tell(pool, "1")
    assert [await journal.drain_outbox("p") for _ in range(3)] == [1000, 6, 0]
    events = await all_events(journal)
    assert [event.message_id for event in events] == [str(number) for number in range(1, 1006)]
    assert as_new(events[0]) == an_event(
        "1",
        key=store.key_of("own", "", "1"),
        source="own",
        topic="p.run.ended",
        sender="promise-pub",
        subject="s",
        actor="who",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        content_type="application/json",
        body='{"a": "é"}'.encode(),
    )
    assert not (await journal.head()).waiting


async def test_an_event_that_cannot_be_stored_holds_up_no_other(
    pool: asyncpg.Pool, journal: StoredJournal, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(pool, "1")
    await tell(pool, "2", topic=LONG)
    await tell(pool, "3", at=datetime.max.replace(tzinfo=UTC))
    await pool.execute("UPDATE outbox SET at = '-infinity' WHERE message_id = '1'")
    assert await journal.drain_outbox("p") == 3
    assert [event.message_id for event in await all_events(journal)] == ["1", "3"]
    assert "cannot be stored" in caplog.text
    assert await journal.drain_outbox("p") == 0


async def test_two_servers_move_each_event_once_in_order(pool: asyncpg.Pool, journal: StoredJournal) -> None:
    async def tell_many() -> None:
        for number in range(400):
            await tell(pool, f"{number}")

    telling = asyncio.create_task(tell_many())
    moved = 0

    async def drain(journal: StoredJournal) -> None:
        nonlocal moved
        while moved < 400:
            count = await journal.drain_outbox("p")
            moved += count
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(telling, drain(journal), drain(StoredJournal(pool)))
    events = await all_events(journal)
    assert [(event.seq, event.message_id) for event in events] == [(n + 1, str(n)) for n in range(400)]


async def test_a_drain_that_is_cut_off_moves_nothing_and_the_next_one_all(
    pool: asyncpg.Pool, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await tell(pool, str(number))
    append = StoredJournal._append

    async def cut_off(self: StoredJournal, connection: Any, events: Any) -> Appended:
        outcome = await append(self, connection, events)
        await pool.execute(END_OTHERS)
        return outcome

    with monkeypatch.context() as killing, pytest.raises(DatabaseUnavailable):
        killing.setattr(StoredJournal, "_append", cut_off)
        await journal.drain_outbox("p")
    head = await journal.head()
    assert (head.seq, head.waiting) == (0, True)
    assert await journal.drain_outbox("p") == 5
    assert [event.message_id for event in await all_events(journal)] == [*"01234"]
