"""Hits in PostgreSQL take no more of the disk than their quota, whatever comes; in real tables, which do not shrink."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from promise_pub import db
from promise_pub.features.visits import store
from promise_pub.features.visits.disk_quota import MAX_UNKNOWN, PARTS, DiskQuota, Room
from promise_pub.features.visits.hit_buffer import HitBuffer
from promise_pub.features.visits.hits import Hit
from promise_pub.features.visits.store import NEEDS, StoredVisits
from promise_pub.features.visits.sweeping import HitSweeper
from promise_pub.settings.model import DatabaseSettings
from tests.roles import role_with
from tests.visits.fake_visits import a_hit
from tests.visits.walks import IDLE

QUOTA = DiskQuota(4 * 1024**2)
NOW = datetime.now(UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


def a_long_hit(text: int, *, known: bool = True) -> Hit:
    """A hit of a session of its own, with texts that no compression makes smaller."""
    texts = {name: secrets.token_hex(text // 2) for name in ("path", "user_agent", "referrer")}
    return a_hit(uuid4(), page="/runs/{id}", known=known, **texts)


async def answer_at_once() -> None:
    """Waits for nothing: a sweep that vacuums knows what it deleted."""


class Flood:
    """Hits that come as fast as there is room for them, and a sweep when it is called for, after 20 hits at least."""

    def __init__(self, visits: StoredVisits, swept: Callable[[], Awaitable[object]] = answer_at_once) -> None:
        self._visits = visits
        self._swept = swept
        self.room = Room(QUOTA)
        self.buffer = HitBuffer(visits, self.room, lambda _: None)
        self._sweeper = HitSweeper(visits, self.room)
        self.largest = self.most_unknown = 0

    async def go_on(self, hits: int, *kinds: tuple[int, bool]) -> None:
        """Returns hits of each kind in turn; a kind is the length of the texts, and True for a known visitor."""
        for number in range(hits):
            text, known = kinds[number % len(kinds)]
            self.buffer.add(a_long_hit(text, known=known))
            if number % 20 == 19:
                await self.buffer.flush()
            if number % 20 == 19 and self.room.is_low.is_set():
                await self._measure()
                await self._sweeper.sweep()
                await self._swept()
                await self._measure()
        await self.buffer.flush()

    async def _measure(self) -> None:
        use = await self._visits.measure_disk()
        self.largest = max(self.largest, use.size)
        self.most_unknown = max(self.most_unknown, use.unknown)


@pytest.mark.parametrize(
    ("hits", "text"), [(12_000, 10), (6_000, 200), (1_500, 2_000)], ids=["short", "middling", "long"]
)
async def test_hits_take_no_more_than_the_quota_however_many_come(visits: StoredVisits, hits: int, text: int) -> None:
    """About twice of what fits."""
    flood = Flood(visits)
    await flood.go_on(hits, (text, True))
    assert QUOTA.size // 2 < flood.largest <= QUOTA.size
    assert flood.buffer.counts.limited == 0, "the oldest went instead"
    first = await visits.list_sessions(1)
    assert first[1] > hits // 4


async def test_hits_of_unknown_visitors_displace_none_of_others(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    known = [a_long_hit(60) for _ in range(500)]
    await visits.add_hits(known)
    flood = Flood(visits)
    await flood.go_on(5_000, (60, False))
    assert flood.most_unknown <= QUOTA.size * MAX_UNKNOWN // PARTS
    assert flood.largest <= QUOTA.size // 2
    kept, unknown = await pool.fetchrow(
        "SELECT count(*) FILTER (WHERE known), count(*) FILTER (WHERE NOT known) FROM visit_hits"
    )
    assert kept == len(known)
    assert unknown < flood.buffer.counts.written, "their own oldest went for newer ones"


async def test_among_others_hits_of_unknown_visitors_have_their_part(visits: StoredVisits) -> None:
    flood = Flood(visits)
    await flood.go_on(8_000, (200, True), (60, False), (60, False))
    assert flood.largest <= QUOTA.size
    assert flood.most_unknown <= QUOTA.size * MAX_UNKNOWN // PARTS


async def test_while_deleted_hits_cannot_be_freed_no_more_come(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    """Somebody reads all the time: nothing that was there then can be freed."""
    flood = Flood(visits)
    await flood.go_on(4_000, (200, True))
    async with pool.acquire() as reader, reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM visit_hits")
        await flood.go_on(4_000, (200, True))
        assert flood.buffer.counts.limited > 1_500
        assert flood.largest <= QUOTA.size * 9 // 8
    limited = flood.buffer.counts.limited
    await flood.go_on(2_000, (200, True))
    assert flood.buffer.counts.limited < limited + 1_000, "they come again"
    assert flood.largest <= QUOTA.size * 9 // 8


async def test_a_server_that_may_not_vacuum_leaves_that_to_autovacuum_and_keeps_the_quota(
    pool: asyncpg.Pool, database: DatabaseSettings
) -> None:
    """Sweeps are ten seconds apart at least, and by then PostgreSQL has counted what was deleted."""
    async with role_with(pool, database, NEEDS) as ours, db.open_pool(ours, max_size=1) as lesser:
        flood = Flood(StoredVisits(lesser, IDLE), lambda: lesser.execute("SELECT pg_stat_force_next_flush()"))
        await flood.go_on(6_000, (200, True))
        assert flood.largest <= QUOTA.size * 9 // 8


async def test_a_table_that_was_larger_takes_hits_where_others_were(pool: asyncpg.Pool, visits: StoredVisits) -> None:
    for _ in range(24):
        await visits.add_hits([a_long_hit(200) for _ in range(500)])
    before = await pool.fetchval("SELECT pg_total_relation_size('visit_hits')")
    assert before > QUOTA.size * 2
    flood = Flood(visits)
    await flood.go_on(4_000, (200, True))
    assert flood.largest <= before + QUOTA.step, "a step may come before anything is measured"
    assert flood.buffer.counts.limited < 1_500


async def test_the_oldest_are_deleted_and_no_more_than_is_asked_for(visits: StoredVisits) -> None:
    hits = [a_hit(ONE, NOW + timedelta(seconds=second), f"/{second}", known=second % 2 == 0) for second in range(10)]
    await visits.add_hits(hits[5:])
    await visits.add_hits(hits[:5])
    each = (await visits.measure_disk()).kept // 10
    assert await visits.delete_oldest_hits(1, 100) == each
    assert await visits.delete_oldest_hits(2 * each, 100) == 2 * each
    assert await visits.delete_oldest_hits(10**12, 1) == each
    assert await visits.delete_oldest_hits(0, 100) == 0
    assert await visits.delete_oldest_unknown_hits(each + 1, 100) == 2 * each
    assert [hit.page for hit in (await visits.get_session(ONE))[1]] == ["/4", "/6", "/8", "/9"]
    assert await visits.delete_oldest_unknown_hits(10**12, 100) == each
    assert await visits.delete_oldest_unknown_hits(10**12, 100) == 0
    assert await visits.delete_oldest_hits(10**12, 100) == 3 * each


async def test_without_hits_little_is_taken(visits: StoredVisits) -> None:
    use = await visits.measure_disk()
    assert (use.kept, use.unknown, use.dead) == (0, 0, 0) and 0 < use.size < 100_000


async def test_a_sample_tells_what_all_of_them_take(visits: StoredVisits, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        await visits.add_hits([a_long_hit(100, known=number % 4 != 0) for _ in range(500)])
    whole = await visits.measure_disk()
    monkeypatch.setattr(store, "SAMPLE", 800_000)
    sampled = await visits.measure_disk()
    assert sampled != whole
    for exact, estimate in ((whole.kept, sampled.kept), (whole.unknown, sampled.unknown)):
        assert exact * 0.5 < estimate < exact * 1.5
