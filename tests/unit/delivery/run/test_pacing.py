"""At most so many rows a second, by a clock that the tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import accumulate, cycle

import pytest

from promise_pub.delivery.broker.messages import SLICE
from promise_pub.delivery.run import pacing
from promise_pub.delivery.run.pacing import RateLimiter
from promise_pub.parameters.rate_profile import Profile
from promise_pub.records import Row

HICCUP = 0.02  # seconds that the limiter may make up for
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
    profile: Profile = (),
) -> list[tuple[float, int]]:
    """When how many rows went; `work` is how long publishing a slice took."""
    clock = clock or Clock()
    monkeypatch.setattr(pacing.asyncio, "sleep", clock.sleep)
    limiter = RateLimiter(rate, profile, clock=clock)
    went: list[tuple[float, int]] = []
    numbers: list[int] = []
    for start in range(0, len(rows), 2_000):  # as batches come from the reader
        async for piece in limiter.slices(rows[start : start + 2_000]):
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
@pytest.mark.parametrize("case", ["even", "late timers", "one stall of 5 s", "stalls of 90 ms", "slow to publish"])
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


def allowed(profile: Profile, start: float, end: float) -> float:
    """How many rows a profile allows between two moments after its beginning."""
    rows = at = 0.0
    for rate, seconds in cycle(profile):
        if at >= end:
            return rows
        rows += rate * max(0.0, min(end, at + seconds) - max(start, at))
        at += seconds
    return rows


def steps_of(went: list[tuple[float, int]], profile: Profile) -> list[list[float]]:
    """By step, first to last and again from the first: how many rows went, and how many should have."""
    found, start = [], 0.0
    for rate, seconds in cycle(profile):
        count = sum(n for at, n in went if start - 1e-9 <= at - 100 < start + seconds - 1e-9)
        found.append([count, rate * seconds])
        start += seconds
        if start > went[-1][0] - 100 - profile[-1][1]:
            return found
    return found


@pytest.mark.parametrize(
    "profile",
    [
        ((100, 10.0), (1_000, 10.0)),
        ((1_000, 10.0), (1, 10.0), (300, 10.0)),
        ((1, 10.0), (7, 10.0), (19, 10.0), (20, 10.0)),
        ((640, 12.5), (33, 10.25)),
        ((5_000, 1.0), (10, 2.0)),
    ],
)
@pytest.mark.parametrize("case", ["even", "late timers", "slow to publish"])
async def test_each_step_of_a_profile_gets_its_rows(
    monkeypatch: pytest.MonkeyPatch, profile: Profile, case: str
) -> None:
    clock = Clock(late=lambda _: 0.0043 if case == "late timers" else 0.0)
    work = 0.0004 if case == "slow to publish" else 0.0
    rows = ROWS[: min(30_000, 3 * int(allowed(profile, 0, sum(s for _, s in profile))))]
    went = await publish(monkeypatch, 0, rows, clock=clock, work=lambda _: work, profile=profile)
    steps = steps_of(went, profile)
    assert len(steps) > len(profile)  # it was repeated
    for count, should in steps:
        # A row is the least that can come a moment too late for its step.
        assert abs(count - should) <= max(0.02 * should, 1)


@pytest.mark.parametrize(
    "profile",
    [
        ((1_000, 2.0), (10, 3.0)),
        ((10, 0.7), (5_000, 0.5), (3, 1.1)),
        ((1, 0.1), (100_000, 0.1)),
        ((3, 0.5),),
    ],
)
@pytest.mark.parametrize("case", ["even", "late timers", "one stall of 61.3 s", "stalls of 90 ms"])
async def test_no_stretch_of_time_gets_more_than_its_steps(
    monkeypatch: pytest.MonkeyPatch, profile: Profile, case: str
) -> None:
    works: dict[str, Callable[[int], float]] = {
        "one stall of 61.3 s": lambda n: 61.3 if n == 10 else 0.0,
        "stalls of 90 ms": lambda n: 0.09 if n % 7 == 0 else 0.0,
    }
    clock = Clock(late=lambda _: 0.004 if case == "late timers" else 0.0)
    rows = ROWS[: min(8_000, max(40, 3 * int(allowed(profile, 0, sum(s for _, s in profile)))))]
    work = works.get(case, lambda _: 0.0)
    went = await publish(monkeypatch, 0, rows, clock=clock, work=work, profile=profile)
    sums = [0, *accumulate(count for _, count in went)]
    fastest = max(rate for rate, _ in profile)
    room = max(1, min(SLICE, fastest // 20)) + HICCUP * fastest + 1e-3
    for first in range(0, len(went), 3):
        for last in range(first, len(went), 3):
            start, end = went[first][0] - 100, went[last][0] - 100
            # What was missed while it stood still is made up for no more than HICCUP.
            most = allowed(profile, max(0.0, start - HICCUP), end)
            assert sums[last + 1] - sums[first] <= most + room


async def test_a_step_ends_by_the_clock_though_its_rate_was_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Publishing a slice takes 50 ms: 20 slices a second is all there is."""
    profile = ((1_000_000, 1.0), (20, 5.0))
    went = await publish(monkeypatch, 0, ROWS[:10_000], work=lambda _: 0.05, profile=profile)
    fast = sum(n for at, n in went if at - 100 < 1.0)
    slow = sum(n for at, n in went if 1.0 <= at - 100 < 5.9)
    assert 18 * SLICE <= fast <= 21 * SLICE
    assert 95 <= slow <= 100 + SLICE


async def test_a_profile_goes_on_at_the_right_step_after_a_long_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour and a half a step, in steps of a tenth of a second: nobody goes through each of them."""
    profile = ((10, 0.1), (1_000, 0.1))
    went = await publish(
        monkeypatch,
        0,
        ROWS[:400],
        work=lambda n: 3_600.05 if n == 3 else 0.0,
        profile=profile,
    )
    stall = next(index for index, (at, _) in enumerate(went) if at > 3_000)
    after = went[stall:]
    start = after[0][0]
    in_a_cycle = sum(n for at, n in after if start <= at < start + 0.2)
    assert 90 <= in_a_cycle <= 101 + 50 + 20


async def test_it_keeps_the_event_loops_time_by_itself() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    limiter = RateLimiter(400)
    got = [len(piece) async for piece in limiter.slices(ROWS[:60])]
    assert got == [20, 20, 20]
    assert loop.time() - started >= 0.095  # the third slice is due after 100 ms
