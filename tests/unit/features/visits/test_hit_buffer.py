"""Hits on their way to the database: what waits, what is written, what is lost, what there is no room for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from promise_pub.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable, SchemaMissing
from promise_pub.features.visits import hit_buffer
from promise_pub.features.visits.disk_quota import PARTS, DiskQuota, Room
from promise_pub.features.visits.errors import HitRefused
from promise_pub.features.visits.hit_buffer import HitBuffer, HitCounts
from promise_pub.features.visits.hits import Hit, HitIds
from tests.virtual_time import VirtualTimeLoop

IDS = HitIds()
NOW = datetime.now(UTC)


def a_hit(page: str = "/", **more: Any) -> Hit:
    return Hit(id=IDS.make(NOW), at=NOW, session_id=uuid4(), page=page, **more)


class Kept:
    """Keeps hits, each once; `trouble` is raised instead, after it has kept them if `too_late`."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.trouble: DatabaseError | None = None
        self.too_late = False
        self.hanging = False
        self.clinging = 0.0
        """Seconds that what hangs takes to be called off, as asyncpg's queries do."""
        self.refused = ""
        self.forgotten: set[UUID] = set()
        self.batches: list[int] = []

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        await asyncio.sleep(0)
        if self.hanging:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(self.clinging)
        if self.trouble and not self.too_late:
            raise self.trouble
        if any(hit.page == self.refused for hit in hits):
            raise HitRefused
        self.batches.append(len(hits))
        known = {hit.id for hit in self.hits}
        self.hits += [hit for hit in hits if hit.id not in known]
        if self.trouble:
            raise self.trouble
        return [*self.forgotten & {hit.session_id for hit in hits}]


def recorder_of(kept: Kept, forget: list[UUID] | None = None, room: Room | None = None) -> HitBuffer:
    return HitBuffer(kept, room or Room(DiskQuota(2**30)), ([] if forget is None else forget).append)


async def test_hits_are_written_in_their_order_a_batch_at_a_time() -> None:
    kept = Kept()
    buffer = recorder_of(kept)
    hits = [a_hit() for _ in range(2 * hit_buffer.BATCH + 7)]
    for hit in hits:
        buffer.add(hit)
    await buffer.flush()
    assert kept.hits == hits and kept.batches == [hit_buffer.BATCH, hit_buffer.BATCH, 7]
    assert buffer.counts == HitCounts(len(hits), len(hits), 0, 0)
    await buffer.flush()
    assert len(kept.batches) == 3, "nothing is nothing to write"


@pytest.mark.parametrize("trouble", [DatabaseUnavailable(), DatabaseRefused(), SchemaMissing(), DatabaseError("full")])
@pytest.mark.parametrize("too_late", [False, True])
async def test_hits_wait_whatever_the_database_fails_of_and_are_written_once(
    trouble: DatabaseError, too_late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept()
    buffer = recorder_of(kept)
    kept.trouble, kept.too_late = trouble, too_late
    hits = [a_hit() for _ in range(5)]
    for hit in hits:
        buffer.add(hit)
        await buffer.flush()
    assert buffer.counts == HitCounts(5, 0, 0, 5)
    assert [record.message for record in caplog.records] == ["Page hits wait"], "told once"
    kept.trouble = None
    await buffer.flush()
    assert kept.hits == hits and buffer.counts == HitCounts(5, 5, 0, 0)


async def test_what_there_is_no_room_for_is_counted_and_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hit_buffer, "MAX_WAITING", 10)
    kept = Kept()
    buffer = recorder_of(kept)
    hits = [a_hit() for _ in range(13)]
    for hit in hits:
        buffer.add(hit)
    assert buffer.counts == HitCounts(13, 0, 3, 10)
    assert [record.message for record in caplog.records] == ["Page hits are lost"]
    await buffer.flush()
    buffer.add(hits[12])
    await buffer.flush()
    assert kept.hits == [*hits[:10], hits[12]], "the oldest are kept, and there is room again"
    assert buffer.counts == HitCounts(14, 11, 3, 0)


async def test_long_headers_take_the_room_of_many_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hit_buffer, "MAX_WAITING_BYTES", 100_000)
    buffer = recorder_of(Kept())
    for _ in range(50):
        buffer.add(a_hit(headers="x" * 8000))
    noted = buffer.counts
    assert noted.waiting == 11 and noted.lost == 39
    for _ in range(2):
        await buffer.flush()
        for _ in range(11):
            buffer.add(a_hit(headers="x" * 8000))
        assert buffer.counts.waiting == 11, "what was written takes no room"


async def test_hits_of_unknown_visitors_leave_most_of_the_buffer_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hit_buffer, "MAX_WAITING", 40)
    kept = Kept()
    buffer = recorder_of(kept)
    strangers = [a_hit(known=False) for _ in range(30)]
    known = [a_hit() for _ in range(30)]
    for hit in (*strangers, *known):
        buffer.add(hit)
    assert buffer.counts == HitCounts(60, 0, 20, 40)
    await buffer.flush()
    assert kept.hits == [*strangers[:10], *known]


async def test_long_texts_of_unknown_visitors_leave_most_of_the_buffer_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hit_buffer, "MAX_WAITING_BYTES", 100_000)
    buffer = recorder_of(Kept())
    for _ in range(50):
        buffer.add(a_hit(known=False, path="x" * 4000))
    assert buffer.counts.waiting == 5
    for _ in range(50):
        buffer.add(a_hit(path="x" * 4000))
    assert buffer.counts.waiting == 20


async def test_hits_that_the_disk_has_no_room_for_are_not_written_and_counted() -> None:
    kept = Kept()
    hits = [a_hit() for _ in range(20)]
    room = Room(DiskQuota(PARTS * 10 * hits[0].weight))
    buffer = recorder_of(kept, room=room)
    for hit in hits:
        buffer.add(hit)
    await buffer.flush()
    assert kept.hits == hits[:10]
    assert buffer.counts == HitCounts(20, 10, 0, 0, 10)


def test_a_hit_too_many_is_counted_and_takes_no_room() -> None:
    buffer = recorder_of(Kept())
    buffer.count_limited()
    assert buffer.counts == HitCounts(1, 0, 0, 0, 1)


async def test_a_hit_that_cannot_be_kept_costs_itself(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    kept.refused = "/bad"
    buffer = recorder_of(kept)
    for page in ("/a", "/bad", "/b", "/bad", "/c"):
        buffer.add(a_hit(page))
    await buffer.flush()
    assert [hit.page for hit in kept.hits] == ["/a", "/b", "/c"]
    assert buffer.counts == HitCounts(5, 3, 2, 0)
    assert "Page hits are lost" in caplog.text


async def test_sessions_that_are_to_be_forgotten_are_told() -> None:
    kept = Kept()
    told: list[UUID] = []
    buffer = recorder_of(kept, told)
    one, other = a_hit(), a_hit()
    kept.forgotten = {one.session_id}
    buffer.add(one)
    buffer.add(other)
    await buffer.flush()
    assert told == [one.session_id]


class TestInTime:
    """With a clock that goes as fast as there is nothing to do."""

    @pytest.fixture
    def loop(self) -> VirtualTimeLoop:
        return VirtualTimeLoop()

    def run(self, loop: VirtualTimeLoop, work: object) -> None:
        try:
            loop.run_until_complete(work)  # type: ignore[arg-type]
        finally:
            loop.close()

    def test_hits_are_written_each_second(self, loop: VirtualTimeLoop) -> None:
        async def work() -> None:
            kept = Kept()
            async with recorder_of(kept) as buffer:
                buffer.add(a_hit())
                await asyncio.sleep(0.9)
                assert kept.hits == []
                await asyncio.sleep(0.2)
                assert len(kept.hits) == 1

        self.run(loop, work())

    def test_what_nobody_foresaw_costs_no_hit(self, loop: VirtualTimeLoop, caplog: pytest.LogCaptureFixture) -> None:
        class Odd(Kept):
            async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
                if loop.time() < 3:
                    raise RuntimeError("odd")
                return await super().add_hits(hits)

        async def work() -> None:
            kept = Odd()
            async with recorder_of(kept) as buffer:
                buffer.add(a_hit())
                await asyncio.sleep(2.5)
                assert buffer.counts == HitCounts(1, 0, 0, 1)
                await asyncio.sleep(2)
                assert buffer.counts == HitCounts(1, 1, 0, 0)

        self.run(loop, work())
        assert "Page hits wait after an unexpected error" in caplog.text

    def test_the_end_writes_the_rest(self, loop: VirtualTimeLoop) -> None:
        async def work() -> None:
            kept = Kept()
            async with recorder_of(kept) as buffer:
                buffer.add(a_hit())
            assert len(kept.hits) == 1 and buffer.counts == HitCounts(1, 1, 0, 0)

        self.run(loop, work())

    @pytest.mark.parametrize(("hanging", "clinging"), [(False, 0), (True, 0), (True, 60)])
    def test_the_end_does_not_wait_for_a_database_that_is_away(
        self,
        loop: VirtualTimeLoop,
        hanging: bool,
        clinging: float,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async def work() -> None:
            kept = Kept()
            kept.hanging, kept.clinging = hanging, clinging
            kept.trouble = DatabaseUnavailable()
            async with recorder_of(kept) as buffer:
                buffer.add(a_hit())
                await asyncio.sleep(1.5)
            assert loop.time() <= 1.5 + hit_buffer.LAST_FLUSH + 0.1
            assert buffer.counts == HitCounts(1, 0, 1, 0)

        with caplog.at_level(logging.WARNING):
            self.run(loop, work())
        assert "Page hits are lost" in caplog.text
