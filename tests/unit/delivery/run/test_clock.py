"""The states of a run, which may follow which, and their durations, also while the clock on the wall jumps back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.run import clock as module
from promise_pub.delivery.run.clock import TRANSITIONS, RunClock
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Seconds, State, Verdict
from tests.fakes import until
from tests.house import House

HOUR = timedelta(hours=1)


def in_state(state: State) -> RunClock:
    clock = RunClock()
    clock.state = state
    return clock


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("following", State)
def test_a_state_follows_another_where_the_table_says_so(state: State, following: State) -> None:
    clock = in_state(state)
    if following in TRANSITIONS[state]:
        clock.enter(following)
        assert clock.state is following
        assert bool(clock.finished_at) is following.final
    else:
        with pytest.raises(RuntimeError, match=f"is {state.value} cannot become {following.value}"):
            clock.enter(following)
        assert clock.state is state


def test_the_table_leads_from_the_queue_to_every_state_and_from_a_final_one_nowhere() -> None:
    reached, found = {State.QUEUED}, [State.QUEUED]
    while found:
        found = [state for state in TRANSITIONS[found.pop()] if state not in reached] + found
        reached.update(found)
    assert reached == {*State}
    assert {state for state in State if not TRANSITIONS[state]} == {state for state in State if state.final}


def test_the_time_of_each_state_adds_up_to_the_total() -> None:
    now = 50.0
    clock = RunClock(monotonic=lambda: now)
    now += 3
    clock.start()
    now += 1
    clock.enter(State.PUBLISHING)
    now += 10
    assert clock.seconds == Seconds(3, 1, 10, 0, total=14)
    clock.enter(State.DRAINING)
    now += 2
    clock.enter(State.COMPLETED)
    now += 100
    assert clock.seconds == Seconds(3, 1, 10, 2, total=16), "nothing counts after the end"


def test_a_resumed_run_keeps_its_start_and_adds_to_its_seconds() -> None:
    now = 50.0
    began = datetime.now(UTC) - HOUR
    clock = RunClock(began, began, Seconds(3, 1, 10, 2, total=16), monotonic=lambda: now)
    now += 4
    clock.start()
    now += 1
    assert (clock.created_at, clock.started_at) == (began, began)
    assert clock.seconds == Seconds(7, 2, 10, 2, total=21)


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_clock_that_jumps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool) -> None:
    jumped = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - jumped

    monkeypatch.setattr(module, "datetime", Clock)
    house = House(tmp_path / "uploads")
    rows = b"".join(b"N%d,%d@x\n" % (n, n) for n in range(60))
    async with house.runs:
        run = await house.submit(rows, Parameters(mode=Mode.LIVE, rate=300))
        await until(lambda: run.counts().confirmed > 20)
        jumped = HOUR
        if resumed:
            await house.runs.cancel(run.id)
            await asyncio.wait_for(run.done.wait(), 30)
            run = await house.runs.resume(run.id)
        await asyncio.wait_for(run.done.wait(), 30)
    report = run.report()
    assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT)
    assert report.finished_at and report.finished_at < report.created_at <= datetime.now(UTC)
    seconds = report.seconds
    assert 0 < seconds.publishing < 60 and min(seconds.queued, seconds.draining) >= 0
    assert seconds.total == pytest.approx(seconds.queued + seconds.negotiating + seconds.publishing + seconds.draining)
