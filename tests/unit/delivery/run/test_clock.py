"""The clock on the wall jumps back an hour while a run goes: durations, order and verdict do not care."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.run import active
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import State, Verdict
from tests.fakes import until
from tests.house import House

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_clock_that_jumps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool) -> None:
    jumped = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - jumped

    monkeypatch.setattr(active, "datetime", Clock)
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
