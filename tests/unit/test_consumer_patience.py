"""Waiting for a broker or a database that went away."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from promise_pub.consumer import patience
from promise_pub.consumer.patience import Patience
from promise_pub.errors import BrokerLost, DatabaseUnavailable


class Clock:
    """Time that passes by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr(patience.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(patience.asyncio, "sleep", self._sleep)

    async def _sleep(self, delay: float) -> None:
        self.slept.append(delay)
        self.now += delay


async def test_it_waits_longer_each_time_up_to_a_limit_and_then_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, waiting = Clock(monkeypatch), Patience()
    with pytest.raises(DatabaseUnavailable):
        for _ in range(10_000):
            await waiting.wait(DatabaseUnavailable())
    assert clock.slept[0] < 0.1 < 1 < max(clock.slept) <= 1.2 * patience.LONGEST
    assert patience.LIMIT <= sum(clock.slept) <= patience.LIMIT + 1.2 * patience.LONGEST


async def test_after_a_success_it_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waiting = Clock(monkeypatch), Patience()
    for _ in range(100):
        await waiting.wait(BrokerLost())
    waiting.restore()
    clock.now += 10 * patience.LIMIT
    await waiting.wait(BrokerLost())
    assert clock.slept[-1] < 0.1


async def test_a_wait_can_be_cancelled() -> None:
    waiting = asyncio.create_task(Patience().wait(BrokerLost()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_loop_that_lost_its_cancellation_ends_at_the_next_wait() -> None:
    async def try_for_ever() -> None:
        waiting = Patience()
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            await waiting.wait(BrokerLost())

    trying = asyncio.create_task(try_for_ever())
    await asyncio.sleep(0)
    trying.cancel()
    done, _ = await asyncio.wait({trying}, timeout=5)
    assert done and trying.cancelled()
