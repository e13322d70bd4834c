"""Consumers of the field: they fail calls, die, ack before they save, and tell what is not so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from tests import consumer_parts
from tests.consumer_parts import ROOT
from tests.faults.checker import Rows, adds_up, saved
from tests.faults.conftest import Trial
from tests.faults.dying_consumer import DIED
from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLS = ["create", "process", "remove", "getsession"]
WAYS = ["500", "garbage", "hang", "die", "error"]
CODES = {
    "consumer_refused",
    "consumer_complaint",
    "consumer_garbage",
    "consumer_timeout",
    "consumer_stalled",
    "consumer_unreachable",
}


@asynccontextmanager
async def field(world: World, *switches: str) -> AsyncIterator[None]:
    """The double takes the bundled consumer's place, as the server sees it."""
    line = world.lines["server-consumer"]
    plain = line.target
    async with consumer_parts.field(world.broker.settings, world.database.settings, *switches) as double:

        async def target() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", URL(double.url).port)

        line.target = target
        try:
            yield
        finally:
            line.target = plain
    await world.widow()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_fails_is_told_and_the_run_goes_on_with_a_consumer_that_works(
    world: World, trial: type[Trial], call: str, way: str
) -> None:
    rows = Rows(300, repeats=3)
    async with field(world, f"--{call}", way):
        run_id = await world.send(rows.csv(), mode="batch", timeout=0)
        report = await world.ended(run_id)
        adds_up(report)
    if report["state"] == "failed":
        assert report["error"]["code"] in CODES and report["resumable"], report
        async with field(world):
            await world.resume(run_id)
            await trial(world, f"consumer: {way} at {call}").ends_kept(run_id, rows)
        return
    assert call == "getsession"  # a look that fails is no news
    await trial(world, f"consumer: {way} at {call}").ends_kept(run_id, rows)


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_one_that_acks_before_it_saves_and_dies(world: World, trial: type[Trial], mode: str) -> None:
    """What it had taken is gone with it. The next session gets all that it had not told to be saved."""
    rows = Rows(2000, repeats=10)
    async with field(world, "--die-after", "700"):
        run_id = await world.send(rows.csv(), mode=mode, timeout=1, rate=4000)
        report = await world.ended(run_id)
        assert report["state"] == "failed", report
        assert report["error"]["code"] == "consumer_unreachable"
    async with field(world):
        await world.resume(run_id)
        await trial(world, "consumer acks before it saves, and dies").ends_kept(run_id, rows)


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_one_that_saves_and_dies_before_it_acks(world: World, trial: type[Trial], mode: str) -> None:
    """What it saved and nobody heard of is sent again to its successor, which finds it there: explained, not doubled."""
    rows = Rows(2000, repeats=6)
    await world.kill("consumer")
    program = ROOT / "tests" / "faults" / "dying_consumer.py"
    world.consumer.program = (str(program), "700", "-c", str(world.folder / "consumer.ini"))
    try:
        await world.consumer.start()
        run_id = await world.send(rows.csv(), mode=mode, timeout=1, rate=4000)
        assert await world.consumer.died() == DIED
    finally:
        world.consumer.program = None
    await world.widow()
    before = len((await saved(world, rows)).inserts)
    assert before >= 700
    await world.consumer.start()
    report = await trial(world, "consumer saves and dies before it acks").ends_kept(run_id, rows)
    (earlier,) = report["earlier_sessions"]
    unheard = before - earlier["last_row"]
    assert unheard > 0 and report["session"]["duplicates"] >= unheard + rows.repeats, report
    told = f"{unheard + rows.repeats:,} rows repeat a mail that was saved before"
    assert told in report["explanation"], report


async def test_one_that_saves_fewer_than_it_received(world: World, trial: type[Trial]) -> None:
    rows = Rows(300, repeats=4)
    async with field(world, "--lose", "3"):
        run_id = await world.send(rows.csv(), mode="batch", timeout=0)
        report = await world.ended(run_id)
    await trial(world, "consumer saves 3 fewer than it received").record(report, rows, told=3)
    assert report["verdict"] == "broken"


async def test_one_that_tells_wrong_counts(world: World, trial: type[Trial]) -> None:
    rows = Rows(300)
    async with field(world, "--lose", "3", "--lie-saved"):
        run_id = await world.send(rows.csv(), mode="batch", timeout=0)
        report = await world.ended(run_id)
    await trial(world, "consumer tells wrong counts").record(report, rows, told=3, by=297, lies=True)
    assert report["verdict"] == "unknown", report  # employees grew by 297


async def test_one_that_tells_nothing(world: World, trial: type[Trial]) -> None:
    rows = Rows(300)
    async with field(world, "--untold"):
        run_id = await world.send(rows.csv(), mode="batch", timeout=0)
        report = await world.ended(run_id)
    await trial(world, "consumer tells nothing").record(report, rows)
    assert report["verdict"] == "unknown"


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_broker_that_dies_takes_a_queue_that_is_not_durable_with_it(
    world: World, trial: type[Trial], mode: str
) -> None:
    """As consumers in the field declare it. The session is of no use any more, and says so or hangs."""
    rows = Rows(2000, repeats=10)
    async with field(world):
        run_id = await world.send_some(rows.csv(), mode=mode, timeout=1, rate=1500)
        world.go_on()
        await world.restart("broker")
        report = await world.ended(run_id)
        adds_up(report)
    if report["state"] != "completed":
        async with field(world):
            await world.resume(run_id)
            report = await world.ended(run_id)
    await trial(world, "kill -9 broker, queue not durable").ends_kept(run_id, rows)
