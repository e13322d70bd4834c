"""What only visits in PostgreSQL promise: whole imports, nothing left of who is forgotten, an answer or none in time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.visits import store
from promise_pub.features.visits.disk_quota import DiskQuota
from promise_pub.features.visits.errors import ImportRefused, SessionNotFound
from promise_pub.features.visits.hits import Hit, headers_as_json, storable_text
from promise_pub.features.visits.store import Imported, StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.fake_visits import a_hit
from tests.visits.walks import IDLE

START = datetime.now(UTC) - timedelta(minutes=5)
ONE, TWO = UUID(int=1), UUID(int=2)
SQL = db.queries(store.SQL, weight="1")
AMPLE = DiskQuota(1024**3)

BY_HAND = "INSERT INTO visit_hits (id, at, session_id, page) VALUES (gen_random_uuid(), now(), $1, '/')"

SOMEBODY_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS here ON here.oid = database
               WHERE NOT granted AND datname = current_database())
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@asynccontextmanager
async def under_way(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    """A transaction of another connection's, committed with the block."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection


async def waits(pool: asyncpg.Pool, task: asyncio.Task[Any]) -> bool:
    """Whether it comes to wait for a lock, before it is done."""
    while not task.done():
        if await pool.fetchval(SOMEBODY_WAITS):
            return True
        await asyncio.sleep(0.01)
    return False


async def in_batches(*batches: Sequence[Hit]) -> AsyncIterator[Sequence[Hit]]:
    for batch in batches:
        yield batch


async def test_nothing_is_left_of_who_is_forgotten_while_it_is_written(
    pool: asyncpg.Pool, visits: StoredVisits
) -> None:
    await visits.add_hits([a_hit(ONE, at(0))])
    async with under_way(pool) as connection:
        await visits._insert(connection, [a_hit(ONE, at(1)), a_hit(TWO, at(1))])
        forgetting = asyncio.create_task(visits.forget_session(ONE))
        assert await waits(pool, forgetting)
    assert await forgetting == 2
    assert await pool.fetchval("SELECT array_agg(session_id) FROM visit_hits") == [TWO]


async def test_what_is_written_while_it_is_forgotten_is_not_kept(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    await visits.add_hits([a_hit(ONE, at(0))])
    async with under_way(pool) as connection:
        await SQL.hold_writers(connection)
        adding = asyncio.create_task(visits.add_hits([a_hit(ONE, at(1)), a_hit(TWO, at(1))]))
        assert await waits(pool, adding)
        assert await SQL.forget(connection, session_id=ONE) == 1
    assert await adding == [ONE]
    assert await pool.fetchval("SELECT array_agg(session_id) FROM visit_hits") == [TWO]


async def test_others_read_while_somebody_is_forgotten(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    await visits.add_hits([a_hit(ONE, at(0))])
    async with under_way(pool) as connection:
        await SQL.hold_writers(connection)
        async with asyncio.timeout(5):
            assert await visits.get_last_hit(ONE) == at(0)
            assert (await visits.get_transitions()).chains.hits == 1


async def test_an_import_says_what_came_of_its_hits(visits: StoredVisits) -> None:
    first, known = a_hit(ONE, at(0)), a_hit(TWO, at(0))
    await visits.add_hits([known, a_hit(UUID(int=3))])
    await visits.forget_session(UUID(int=3))
    late = [a_hit(UUID(int=3), at(1)), a_hit(UUID(int=3), at(2))]
    batches = ([first, known], [*late, a_hit(TWO, at(1))])
    assert await visits.import_hits(in_batches(*batches), AMPLE) == Imported(5, 2, 2)
    assert await visits.import_hits(in_batches(*batches), AMPLE) == Imported(5, 0, 2)
    assert await visits.import_hits(in_batches(), AMPLE) == Imported()
    assert (await visits.get_transitions()).chains.hits == 3


async def test_an_import_that_would_displace_other_hits_has_written_nothing(visits: StoredVisits) -> None:
    hits = [a_hit(ONE, at(second), path=secrets.token_hex(1000)) for second in range(100)]
    small = DiskQuota(300_000)
    await visits.import_hits(in_batches(hits[:50]), small)
    for _ in range(3):
        with pytest.raises(ImportRefused, match="quota"):
            await visits.import_hits(in_batches(hits[50:70], hits[70:]), small)
    assert (await visits.get_transitions()).chains.hits == 50
    assert await visits.import_hits(in_batches(hits[:50]), small) == Imported(50, 0), "what is there takes no room"


@pytest.mark.parametrize("error", [ImportRefused("line 7: no"), asyncio.CancelledError()], ids=repr)
async def test_an_import_that_fails_midway_has_written_nothing(visits: StoredVisits, error: BaseException) -> None:
    async def batches() -> AsyncIterator[Sequence[Hit]]:
        yield [a_hit(ONE, at(0))]
        raise error

    with pytest.raises(type(error)):
        await visits.import_hits(batches(), AMPLE)
    assert await visits.get_last_hit(ONE) is None
    assert await visits.import_hits(in_batches([a_hit(ONE, at(0))]), AMPLE) == Imported(1, 1)


async def test_an_import_is_done_when_its_hits_are_there(
    database: DatabaseSettings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes then is housekeeping: another's may keep it from being done."""
    monkeypatch.setattr(db, "COMMAND_TIMEOUT", 1.5)  # for the hits it is plenty
    async with db.open_pool(database, max_size=1) as impatient, under_way(pool) as connection:
        await connection.execute("LOCK TABLE visit_hits IN SHARE UPDATE EXCLUSIVE MODE")
        visits = StoredVisits(impatient, IDLE)
        assert await visits.import_hits(in_batches([a_hit(ONE, at(0))]), AMPLE) == Imported(1, 1)
        assert await visits.get_last_hit(ONE) == at(0)


NASTY = [
    "a\0b",
    "\0",
    "\ud800",
    "\udfff\ud83d\ude00",
    "caf\udcc3\udca9",  # bytes of UTF-8, as aiohttp hands them on
    "\udcff" * 10,
    '\\u0000 \\ud800 \\x00 "',
    "\N{CRAB}" * 3000,
    "\x01\x1b[31m\x7f\x85\u2028\ufeff",
]


async def test_whatever_came_it_can_be_kept_once_it_went_through_the_sieve(
    visits: StoredVisits,
) -> None:
    hits = [
        a_hit(
            ONE,
            at(number),
            (storable_text(text) or "")[:200],
            path=storable_text(text),
            method=storable_text(text),
            user_agent=storable_text(text),
            referrer=storable_text(text),
            headers=headers_as_json([("Accept", text), ("Host", text)]),
        )
        for number, text in enumerate(NASTY)
    ]
    assert await visits.add_hits(hits) == []
    assert (await visits.get_session(ONE))[1] == hits


async def test_headers_keep_their_order_and_their_repetitions(visits: StoredVisits) -> None:
    pairs = [("host", "2"), ("accept", "1"), ("HOST", "3"), ("host", "2"), ("accept", "")]
    await visits.add_hits([a_hit(ONE, at(0), headers=headers_as_json(pairs))])
    _, (hit,) = await visits.get_session(ONE)
    assert hit.as_json()["headers"] == [[*pair] for pair in pairs]


async def test_figures_and_addresses_come_back_as_they_were(visits: StoredVisits) -> None:
    hits = [
        a_hit(ONE, at(number), took_ms=took, ip=ip_address(address), port=port, status=status)
        for number, (took, address, port, status) in enumerate(
            [
                (0.0, "0.0.0.0", 0, 0),
                (12.345, "192.0.2.1", 1, 200),
                (0.001, "::", 65535, 404),
                (4_999.999, "2001:db8::ffff", 443, 999),
            ]
        )
    ]
    await visits.add_hits(hits)
    assert (await visits.get_session(ONE))[1] == hits


async def test_of_a_session_without_end_the_first_hits_are_told(
    visits: StoredVisits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_HITS", 3)
    await visits.add_hits([a_hit(ONE, at(second), f"/{second}") for second in range(5)])
    summary, hits = await visits.get_session(ONE)
    assert (summary.hits, [hit.page for hit in hits]) == (5, ["/0", "/1", "/2"])


async def test_a_session_that_comes_back_by_hand_is_forgotten_anew(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    await visits.add_hits([a_hit(ONE)])
    await visits.forget_session(ONE)
    await pool.execute("UPDATE visit_forgotten SET at = '2000-01-01'")
    await pool.execute(BY_HAND, ONE)
    assert await visits.forget_session(ONE) == 1
    await visits.delete_old_forgotten(pool, datetime.now(UTC) - timedelta(hours=1))
    assert await visits.add_hits([a_hit(ONE)]) == [ONE]
    with pytest.raises(SessionNotFound):
        await visits.get_session(ONE)


async def test_whoever_counts_leaves_connections_to_others(database: DatabaseSettings) -> None:
    async with db.open_pool(database, max_size=store.MAX_COUNTING + 2) as pool:
        visits = StoredVisits(pool, IDLE)
        async with under_way(pool) as connection:
            await connection.execute("LOCK TABLE visit_hits IN ACCESS EXCLUSIVE MODE")
            counting = [asyncio.create_task(visits.get_transitions()) for _ in range(4)]
            counting += [asyncio.create_task(visits.list_sessions(1)) for _ in range(4)]  # type: ignore[arg-type]
            assert await waits(pool, counting[0])
            assert await asyncio.wait_for(pool.fetchval("SELECT 1"), 5) == 1
        await asyncio.gather(*counting)


async def test_transitions_that_are_too_many_are_counted_anew_by_fewer_pages(
    visits: StoredVisits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_STEPS", 3)
    monkeypatch.setattr(store, "MAX_PAGES", 1)
    now = datetime.now(UTC)  # the session goes on, however long ago this file was read
    await visits.add_hits([a_hit(ONE, now + timedelta(seconds=second), page) for second, page in enumerate("aabcd")])
    assert (await visits.get_transitions()).rows() == [
        (store.OTHERS, store.OTHERS, 2, 1.0),
        ("a", "a", 1, 0.5),
        ("a", store.OTHERS, 1, 0.5),
    ]
