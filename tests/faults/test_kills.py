"""kill -9 of each part, in each state of a run and at random moments, and started again."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from tests.faults.checker import Rows, adds_up
from tests.faults.conftest import Trial
from tests.faults.world import World, until_files

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = ["server", "consumer", "broker", "database"]
MOMENTS, RELIABILITY_MOMENTS, SOAK_MOMENTS = 10, 40, 500
SEED = 20261124
# How often each is taken: a broker takes seconds to start again.
WEIGHTS = {"server": 14, "consumer": 12, "database": 10, "broker": 4}


@asynccontextmanager
async def begun(world: World, rows: Rows, mode: str, state: str) -> AsyncIterator[str]:
    """A run that is in this state and stays in it as long as the block lasts; while it publishes, until it may go on."""
    if state == "negotiating":
        world.lines["server-consumer"].stall()
    rate = {"negotiating": 0, "publishing": 1500, "draining": 2000, "blocked": 1500}[state]
    send = world.send if state == "negotiating" else world.send_some
    run_id = await send(rows.csv(), mode=mode, timeout=2, rate=rate)
    async with AsyncExitStack() as stack:
        if state == "blocked":
            await stack.enter_async_context(world.broker.alarmed())
            world.go_on()
            await world.until(run_id, lambda run: run["blocked"])
        elif state == "draining":
            world.lines["consumer-database"].stall()
            world.go_on()
        if state != "blocked":
            await world.until(run_id, lambda run: run["state"] == state)
        yield run_id


STATES = [
    *itertools.product(PARTS, ["live", "batch"], ["negotiating", "publishing", "draining"]),
    *zip(PARTS, itertools.cycle(["live", "batch"]), itertools.repeat("blocked")),
]


@pytest.mark.parametrize(("part", "mode", "state"), STATES)
async def test_a_part_that_is_killed_in_a_state(
    world: World, trial: type[Trial], part: str, mode: str, state: str
) -> None:
    rows = Rows(3000, repeats=7)
    async with begun(world, rows, mode, state) as run_id:
        world.go_on()
        await world.kill(part)
    for line in world.lines.values():
        line.heal()
    await world.parts[part].start()
    await trial(world, f"kill -9 {part}, {state}").ends_kept(run_id, rows)


@pytest.mark.parametrize(("part", "mode"), [*zip(PARTS, itertools.cycle(["batch", "live"]))])
async def test_a_part_that_is_killed_while_a_run_waits_its_turn(
    world: World, trial: type[Trial], part: str, mode: str
) -> None:
    """It waits on, or ended with the server and can be resumed."""
    first, second = Rows(2000), Rows(100)
    async with begun(world, first, mode, "publishing") as going:
        waiting = await world.send(second.csv(), mode=mode, timeout=1)
        await world.until(waiting, lambda run: run["state"] == "queued")
        world.go_on()
        await world.kill(part)
    await world.parts[part].start()
    for run_id, rows in ((going, first), (waiting, second)):
        if part == "server":
            report = await world.report(run_id)
            assert (report["state"], report["error"]["code"]) == ("interrupted", "interrupted")
            adds_up(report)
        await trial(world, f"kill -9 {part}, queued").ends_kept(run_id, rows)


@pytest.mark.parametrize(("part", "mode"), [*zip(PARTS, itertools.cycle(["live", "batch"]))])
async def test_a_part_that_is_killed_while_a_file_comes_in(
    world: World, trial: type[Trial], part: str, mode: str
) -> None:
    """Without the server there is no file and no run; without another part the file comes in all the same."""
    rows = Rows(1500, repeats=2)
    middle, runs = len(rows.csv()) // 2, await world.runs()
    go_on = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield rows.csv()[:middle]
        await go_on.wait()
        yield rows.csv()[middle:]

    uploading = asyncio.create_task(world.send(halves(), mode=mode, timeout=1))
    try:
        await until_files(world, ".part", 1)
        await world.restart(part)
    finally:
        go_on.set()
    if part == "server":
        with pytest.raises((aiohttp.ClientError, OSError)):
            await uploading
        await until_files(world, ".part", 0)
        assert await world.runs() == runs
        run_id = await world.send(rows.csv(), mode=mode, timeout=1)
    else:
        run_id = await uploading
    await trial(world, f"kill -9 {part}, uploading").ends_kept(run_id, rows)


def moments(config: pytest.Config) -> int:
    """Returns the number of random moments to try; a longer run begins with those of a shorter one."""
    if config.getoption("soak"):
        return SOAK_MOMENTS
    return RELIABILITY_MOMENTS if config.getoption("reliability") else MOMENTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "moment" in metafunc.fixturenames:
        metafunc.parametrize("moment", range(moments(metafunc.config)))


async def test_a_part_that_is_killed_at_a_random_moment(world: World, trial: type[Trial], moment: int) -> None:
    """The same moments each time: what fails can be tried again."""
    chance = random.Random(SEED + moment)
    (part,) = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
    mode = chance.choice(["live", "batch"])
    rows = Rows(chance.randint(500, 3000), repeats=chance.randint(0, 20))
    after = chance.uniform(0.0, 1.2)
    run_id = await world.send(rows.csv(), mode=mode, timeout=1, rate=chance.choice([2500, 5000]))
    await asyncio.sleep(after)
    await world.restart(part)
    await trial(world, f"kill -9 {part}, at a random moment").ends_kept(run_id, rows)
