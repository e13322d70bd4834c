"""The clock of the machine jumps: an hour back, in the middle of a run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.checker import Rows
from tests.faults.conftest import Trial
from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR = timedelta(hours=1)


def library() -> Path:
    """libfaketime, which every look at the clock goes through where it is preloaded. Not there, not in CI: no test."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    if not found:
        reason = "libfaketime is not installed: apt-get install libfaketime"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found[0]


class Clock:
    """The time of day as the server and the consumer see it. What only measures how long something takes goes on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self.set(timedelta())

    def set(self, off: timedelta) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{int(off.total_seconds()):+d}\n", encoding="ascii")
        fresh.replace(self._path)  # never half written

    def environment(self, preloaded: Path) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@pytest_asyncio.fixture(loop_scope="session")
async def clock(world: World) -> AsyncIterator[Clock]:
    made = Clock(world.folder)
    environment = made.environment(library())
    try:
        await start_again(world, environment)
        yield made
    finally:
        await start_again(world, {})


async def start_again(world: World, environment: dict[str, str]) -> None:
    for part in (world.consumer, world.server):
        part.environment = environment
        if part.command:
            await part.stop()
        await part.start()


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_clock_that_jumps_back_an_hour(world: World, trial: type[Trial], clock: Clock, mode: str) -> None:
    """No wait becomes an hour longer, nothing ends too early; and the next run does not mind that it began before."""
    rows, after = Rows(2500, repeats=3), Rows(200)
    run_id = await world.send_some(rows.csv(), mode=mode, timeout=1, rate=1500)
    clock.set(-HOUR)
    world.go_on()
    report = await trial(world, "clock jumps back an hour").ends_kept(run_id, rows)
    began, ended = (datetime.fromisoformat(report[at]) for at in ("started_at", "finished_at"))
    assert timedelta(minutes=-61) < ended - began < timedelta(minutes=-58)  # it did jump
    assert run_id not in world.resumed and 0 < report["seconds"]["total"] < 60
    again = await world.send(after.csv(), mode=mode, timeout=1)
    report = await trial(world, "clock jumps back an hour").ends_kept(again, after)
    assert datetime.fromisoformat(report["created_at"]) < began


async def test_a_clock_that_is_put_right_again(world: World, trial: type[Trial], clock: Clock) -> None:
    """An hour on at once: no idle time is over for that, and no session forgotten."""
    rows = Rows(2500, repeats=3)
    clock.set(-HOUR)
    run_id = await world.send_some(rows.csv(), mode="live", timeout=1, rate=1500)
    clock.set(timedelta())
    world.go_on()
    report = await trial(world, "clock jumps on an hour").ends_kept(run_id, rows)
    began, ended = (datetime.fromisoformat(report[at]) for at in ("started_at", "finished_at"))
    assert ended - began > timedelta(minutes=59) and run_id not in world.resumed
