"""kill -9 of each part, in each state of a run and at random moments, and started again."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.faults.checker import Rows, adds_up
from tests.faults.conftest import Trial
from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = ["server", "consumer", "broker", "database"]
MOMENTS, SOAK_MOMENTS = 40, 500
SEED = 20261124
# How often each is taken: a broker takes seconds to start again.
WEIGHTS = {"server": 14, "consumer": 12, "database": 10, "broker": 4}


async def begin(world: World, rows: Rows, mode: str, state: str) -> str:
    """A run that is in this state and stays in it for a while."""
    if state == "negotiating":
        world.lines["server-consumer"].stall()
    rate = {"negotiating": 0, "publishing": 1500, "draining": 2000}[state]
    run_id = await world.send(rows.csv(), mode=mode, timeout=2, rate=rate)
    if state == "draining":
        await world.until(run_id, lambda run: run["state"] == "publishing")
        world.lines["consumer-database"].stall()
    await world.until(run_id, lambda run: run["state"] == state and started(run, state))
    return run_id


def started(run: dict[str, Any], state: str) -> bool:
    return bool(state != "publishing" or run["rows"]["confirmed"] > 300)


@pytest.mark.parametrize("state", ["negotiating", "publishing", "draining"])
@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_is_killed_in_a_state(
    world: World, trial: type[Trial], part: str, mode: str, state: str
) -> None:
    rows = Rows(3000, repeats=7)
    run_id = await begin(world, rows, mode, state)
    await world.kill(part)
    for line in world.lines.values():
        line.heal()
    await world.parts[part].start()
    await trial(world, f"kill -9 {part}, {state}").ends_kept(run_id, rows)


async def test_a_server_that_is_killed_leaves_those_that_waited_to_be_resumed(
    world: World, trial: type[Trial]
) -> None:
    first, second = Rows(2000), Rows(100)
    ids = [await begin(world, first, "batch", "publishing")]
    ids.append(await world.send(second.csv(), mode="batch", timeout=1))
    await world.until(ids[1], lambda run: run["state"] == "queued")
    await world.restart("server")
    for run_id, rows in zip(ids, (first, second), strict=True):
        report = await world.report(run_id)
        assert (report["state"], report["error"]["code"]) == ("interrupted", "interrupted")
        adds_up(report)
        await trial(world, "kill -9 server, queued").ends_kept(run_id, rows)


def moments(config: pytest.Config) -> int:
    return SOAK_MOMENTS if config.getoption("soak") else MOMENTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "moment" in metafunc.fixturenames:
        metafunc.parametrize("moment", range(moments(metafunc.config)))


async def test_a_part_that_is_killed_at_a_random_moment(
    world: World, trial: type[Trial], moment: int
) -> None:
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
