"""At most so many rows a second, by a clock that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import accumulate

import pytest

from promise_pub.delivery import pace
from promise_pub.delivery.pace import SLICE, Pacer
from promise_pub.records import Row

HICCUP = 0.02  # seconds that the pacer may make up for
ROWS = [Row(n, "n", "m") for n in range(1, 30_001)]


class Clock:
    """Time passes by sleeping; a sleep may take longer than was asked for."""

    def __init__(self, late: Callable[[int], float] = lambda _: 0.0) -> None:
        self.now = 100.0
        self.sleeps = 0
        self._late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds + self._late(self.sleeps)


async def publish(
    monkeypatch: pytest.MonkeyPatch,
    rate: int,
    rows: list[Row],
    *,
    clock: Clock | None = None,
    work: Callable[[int], float] = lambda _: 0.0,
) -> list[tuple[float, int]]:
    """When how many rows went; `work` is how long publishing a slice took."""
    clock = clock or Clock()
    monkeypatch.setattr(pace.asyncio, "sleep", clock.sleep)
    pacer = Pacer(rate, clock=clock)
    went: list[tuple[float, int]] = []
    numbers: list[int] = []
    for start in range(0, len(rows), 2_000):  # as batches come from the reader
        async for piece in pacer.slices(rows[start : start + 2_000]):
            went.append((clock.now, len(piece)))
            numbers += [row.number for row in piece]
            clock.now += work(len(went))
    assert numbers == [row.number for row in rows]
    return went


def most_over(went: list[tuple[float, int]], rate: int) -> float:
    """By how many rows the worst stretch of time, of any length from a tenth of a second on, is over the rate."""
    sums = [0, *accumulate(count for _, count in went)]
    worst = 0.0
    for first in range(len(went)):
        for last in range(first, len(went)):
            span = max(went[last][0] - went[first][0], 0.1)
            worst = max(worst, sums[last + 1] - sums[first] - rate * span)
    return worst


@pytest.mark.parametrize("rate", [1, 3, 19, 20, 100, 1_000, 5_120, 10_000])
@pytest.mark.parametrize(
    "case", ["even", "late timers", "one stall of 5 s", "stalls of 90 ms", "slow to publish"]
)
async def test_no_stretch_of_time_gets_more_than_the_rate(
    monkeypatch: pytest.MonkeyPatch, rate: int, case: str
) -> None:
    clock = Clock(late=lambda n: 0.004 if case == "late timers" else 0.0)
    works: dict[str, Callable[[int], float]] = {
        "one stall of 5 s": lambda n: 5.0 if n == 10 else 0.0,
        "stalls of 90 ms": lambda n: 0.09 if n % 7 == 0 else 0.0,
        "slow to publish": lambda n: 0.03,
    }
    rows = ROWS[: max(30, min(rate * 3, 10_000))]
    went = await publish(monkeypatch, rate, rows, clock=clock, work=works.get(case, lambda _: 0.0))
    a_slice = max(count for _, count in went)
    assert a_slice <= max(1, min(SLICE, rate // 20))
    assert most_over(went, rate) <= a_slice + HICCUP * rate + 1e-3


@pytest.mark.parametrize("rate", [20, 1_000, 10_000, 100_000])
async def test_late_timers_are_made_up_for(monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    rows = ROWS[: rate * 2]  # which are 30,000 at most
    went = await publish(monkeypatch, rate, rows, clock=Clock(late=lambda _: 0.004))
    took = went[-1][0] - went[0][0]
    assert len(rows) / rate * 0.95 <= took <= len(rows) / rate * 1.02


async def test_after_a_stall_there_is_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    went = await publish(monkeypatch, 1_000, ROWS[:2_000], work=lambda n: 60.0 if n == 5 else 0.0)
    resumed = went[5][0]
    in_the_next_second = sum(count for at, count in went if resumed <= at < resumed + 0.9999)
    assert in_the_next_second <= 1_000 + 50 + 20


async def test_without_a_rate_everything_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    went = await publish(monkeypatch, 0, ROWS, clock=clock)
    assert clock.sleeps == 0
    assert {count for _, count in went} <= {SLICE, 2_000 % SLICE}


async def test_no_rows_are_no_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await publish(monkeypatch, 5, []) == []


async def test_it_keeps_the_event_loops_time_by_itself() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    pacer = Pacer(400)
    got = [len(piece) async for piece in pacer.slices(ROWS[:60])]
    assert got == [20, 20, 20]
    assert loop.time() - started >= 0.095  # the third slice is due after 100 ms
