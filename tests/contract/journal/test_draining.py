"""The outbox moves into the journal: each event once, in its order, whoever is cut off when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.journal.appending import AppendingTurn, Batch
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.ports import Numbered
from promise_pub.features.journal.store import StoredJournal
from tests.journal.new_events import END_OTHERS, LONG, all_events, an_event, as_new, tell


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
        key=key_of("own", "", "1"),
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
    append = AppendingTurn.append

    async def cut_off(self: AppendingTurn, batch: Batch) -> Numbered:
        outcome = await append(self, batch)
        await pool.execute(END_OTHERS)
        return outcome

    with monkeypatch.context() as killing, pytest.raises(DatabaseUnavailable):
        killing.setattr(AppendingTurn, "append", cut_off)
        await journal.drain_outbox("p")
    head = await journal.head()
    assert (head.seq, head.waiting) == (0, True)
    assert await journal.drain_outbox("p") == 5
    assert [event.message_id for event in await all_events(journal)] == [*"01234"]
