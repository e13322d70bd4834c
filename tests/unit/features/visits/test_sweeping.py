"""Sweeps of hits: their moments, their order, and the hits that go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.features.visits import sweeping
from promise_pub.features.visits.disk_quota import DiskQuota, DiskUse, Room
from promise_pub.features.visits.sweeping import HitSweeper
from tests.virtual_time import VirtualTimeLoop

QUOTA = DiskQuota(1_600_000)


class Swept:
    """Hits as bytes: those that are known and those that are not; a batch deletes a thousand at most."""

    def __init__(self, known: int = 0, unknown: int = 0) -> None:
        self.known, self.unknown, self.dead = known, unknown, 0
        self.trouble: DatabaseError | None = None
        self.calls: list[str] = []

    @property
    def sweeps(self) -> int:
        """Within the quota each sweep measures once."""
        return self.calls.count("measure")

    async def measure_disk(self) -> DiskUse:
        self._call("measure")
        kept = self.known + self.unknown
        return DiskUse(size=kept + self.dead, kept=kept, unknown=self.unknown, dead=self.dead)

    async def delete_oldest_hits(self, excess: int, limit: int) -> int:
        self._call("oldest")
        gone = min(excess, 1000, self.known)
        self.known -= gone
        self.dead += gone
        return gone

    async def delete_oldest_unknown_hits(self, excess: int, limit: int) -> int:
        self._call("unknown")
        gone = min(excess, 1000, self.unknown)
        self.unknown -= gone
        self.dead += gone
        return gone

    async def free_deleted(self) -> None:
        self._call("free")
        self.dead = 0

    def _call(self, name: str) -> None:
        if self.trouble:
            raise self.trouble
        self.calls.append(name)


async def test_within_the_quota_nothing_is_deleted_and_nothing_freed() -> None:
    swept, room = Swept(known=900_000, unknown=300_000), Room(QUOTA)
    await HitSweeper(swept, room).sweep()
    assert swept.calls == ["measure"]


async def test_hits_of_unknown_visitors_go_before_those_of_others() -> None:
    swept, room = Swept(known=890_000, unknown=303_500), Room(QUOTA)
    await HitSweeper(swept, room).sweep()
    assert swept.calls == ["measure", *["unknown"] * 4, "free", "measure"]
    assert (swept.known, swept.unknown) == (890_000, 300_000)


async def test_beyond_the_quota_the_oldest_go_whoever_was_the_visitor() -> None:
    swept, room = Swept(known=901_500, unknown=301_000), Room(QUOTA)
    await HitSweeper(swept, room).sweep()
    assert swept.calls == ["measure", "unknown", *["oldest"] * 2, "free", "measure"]
    assert (swept.known, swept.unknown, swept.dead) == (900_000, 300_000, 0)


async def test_what_another_deleted_or_could_not_free_is_freed_too() -> None:
    swept, room = Swept(known=900_000), Room(QUOTA)
    swept.dead = 700_000
    await HitSweeper(swept, room).sweep()
    assert swept.calls == ["measure", "free", "measure"]
    assert room.take(100_000, known=True)


async def test_a_sweep_ends_when_another_server_has_deleted_the_hits() -> None:
    class Gone(Swept):
        async def delete_oldest_hits(self, excess: int, limit: int) -> int:
            return 0

    swept, room = Gone(known=1_300_000), Room(QUOTA)
    async with asyncio.timeout(5):
        await HitSweeper(swept, room).sweep()


async def test_a_sweep_makes_room_and_says_what_had_none(caplog: pytest.LogCaptureFixture) -> None:
    swept, room = Swept(), Room(QUOTA)
    assert room.take(100_000, known=True) and not room.take(1, known=True)
    await HitSweeper(swept, room).sweep()
    assert room.take(100_000, known=True)
    assert [record.message for record in caplog.records] == ["Page hits had no room within the quota"]
    await HitSweeper(swept, room).sweep()
    assert len(caplog.records) == 1


async def test_where_deleted_hits_are_not_freed_no_room_is_made() -> None:
    class Held(Swept):
        async def free_deleted(self) -> None:
            """A transaction goes on that may still read them, or we may not vacuum."""

    swept, room = Held(known=1_500_000), Room(QUOTA)
    await HitSweeper(swept, room).sweep()
    assert (swept.known, swept.dead) == (1_200_000, 300_000)
    assert room.take(100_000, known=True), "the disk has it"
    swept.known += 100_000
    await HitSweeper(swept, room).sweep()
    assert not room.take(1, known=True)


class TestInTime:
    """With a clock that goes as fast as there is nothing to do."""

    @pytest.fixture
    def loop(self) -> VirtualTimeLoop:
        return VirtualTimeLoop()

    def run(self, loop: VirtualTimeLoop, work: Coroutine[Any, Any, None]) -> None:
        try:
            loop.run_until_complete(work)
        finally:
            loop.close()

    def test_it_sweeps_at_the_start_and_every_six_hours(self, loop: VirtualTimeLoop) -> None:
        async def work() -> None:
            swept = Swept()
            async with HitSweeper(swept, Room(QUOTA)).running():
                await asyncio.sleep(1)
                assert swept.sweeps == 1
                await asyncio.sleep(24 * 3600)
                assert swept.sweeps == 5

        self.run(loop, work())

    def test_an_error_that_nobody_foresaw_does_not_end_it(
        self, loop: VirtualTimeLoop, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work() -> None:
            swept = Swept()
            measure, wrong = swept.measure_disk, [ZeroDivisionError()]

            async def fail() -> DiskUse:
                if wrong:
                    raise wrong.pop()
                return await measure()

            swept.measure_disk = fail  # type: ignore[method-assign]
            async with HitSweeper(swept, Room(QUOTA)).running():
                await asyncio.sleep(100)
                assert swept.sweeps == 1

        self.run(loop, work())
        assert "The disk that page hits take is not kept within its quota" in caplog.text

    def test_it_sweeps_as_soon_as_half_of_the_room_is_taken(self, loop: VirtualTimeLoop) -> None:
        async def work() -> None:
            swept, room = Swept(), Room(QUOTA)
            async with HitSweeper(swept, room).running():
                await asyncio.sleep(100)
                room.take(40_000, known=True)
                await asyncio.sleep(100)
                assert swept.sweeps == 1
                room.take(20_000, known=True)
                await asyncio.sleep(1)
                assert swept.sweeps == 2

        self.run(loop, work())

    def test_however_fast_hits_come_there_is_a_pause_between_sweeps(self, loop: VirtualTimeLoop) -> None:
        async def work() -> None:
            swept, room = Swept(), Room(QUOTA)
            async with HitSweeper(swept, room).running():
                for _ in range(1000):
                    room.take(60_000, known=True)
                    await asyncio.sleep(0.1)
                assert 9 <= swept.sweeps <= 11

        self.run(loop, work())

    def test_a_sweep_that_fails_is_tried_again_soon(
        self, loop: VirtualTimeLoop, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work() -> None:
            swept = Swept()
            swept.trouble = DatabaseUnavailable()
            async with HitSweeper(swept, Room(QUOTA)).running():
                await asyncio.sleep(30)
                swept.trouble = None
                await asyncio.sleep(sweeping.SWEEP_RETRY)
                assert swept.sweeps == 1

        with caplog.at_level(logging.WARNING):
            self.run(loop, work())
        assert [record.message for record in caplog.records] == [
            "The disk that page hits take is not kept within its quota"
        ]

    def test_the_end_does_not_wait_for_a_statement_that_hangs(self, loop: VirtualTimeLoop) -> None:
        class Hanging(Swept):
            async def measure_disk(self) -> DiskUse:
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(60)
                raise AssertionError

        async def work() -> None:
            async with HitSweeper(Hanging(), Room(QUOTA)).running():
                await asyncio.sleep(1)
            assert loop.time() <= 1 + sweeping.LAST_SWEEP + 0.1

        self.run(loop, work())
