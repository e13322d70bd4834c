"""The lines between the parts: cut, half open, slow, and cut in the middle of a frame."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.checker import Rows
from tests.faults.conftest import Trial
from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = [
    "server-broker",
    "server-consumer",
    "server-database",
    "consumer-broker",
    "consumer-database",
]


async def going(world: World, rows: Rows, mode: str = "live") -> str:
    run_id = await world.send(rows.csv(), mode=mode, timeout=2, rate=1500)
    await world.until(run_id, lambda run: run["rows"]["confirmed"] > 300)
    return run_id


@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_is_cut(world: World, trial: type[Trial], name: str, mode: str) -> None:
    rows = Rows(2500, repeats=5)
    run_id = await going(world, rows, mode)
    for _ in range(3):
        world.lines[name].cut()
        await asyncio.sleep(0.2)
    await trial(world, f"{name} cut").ends_kept(run_id, rows)


@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_is_down_for_a_while(world: World, trial: type[Trial], name: str) -> None:
    rows = Rows(2500)
    run_id = await going(world, rows)
    world.lines[name].down = True
    world.lines[name].cut()
    await asyncio.sleep(2)
    world.lines[name].heal()
    await trial(world, f"{name} down for two seconds").ends_kept(run_id, rows)


@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_swallows_what_comes_and_is_cut_then(
    world: World, trial: type[Trial], name: str
) -> None:
    rows = Rows(2500)
    run_id = await going(world, rows)
    world.lines[name].stall()
    await asyncio.sleep(4)
    world.lines[name].cut()
    world.lines[name].heal()
    await trial(world, f"{name} half open").ends_kept(run_id, rows)


@pytest.mark.parametrize("name", ["server-broker", "consumer-broker"])
async def test_a_line_to_the_broker_that_stays_half_open_is_noticed(
    world: World, trial: type[Trial], name: str
) -> None:
    """By heartbeats that do not come: nothing on the line ever ends."""
    rows = Rows(2500)
    run_id = await going(world, rows)
    stalled = world.lines[name]
    stalled.stall()
    await asyncio.sleep(12)
    stalled.heal()
    await trial(world, f"{name} half open for twelve seconds").ends_kept(run_id, rows)


@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_is_slow(world: World, trial: type[Trial], name: str) -> None:
    rows = Rows(1500)
    run_id = await going(world, rows)
    world.lines[name].delay = 0.5
    await asyncio.sleep(2)
    world.lines[name].heal()
    await trial(world, f"{name} delayed by 500 ms").ends_kept(run_id, rows)


@pytest.mark.parametrize("after", [1, 700, 5_003])
@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_is_cut_in_the_middle_of_a_frame(
    world: World, trial: type[Trial], name: str, after: int
) -> None:
    rows = Rows(2000)
    run_id = await going(world, rows)
    world.lines[name].cut_after = after
    await trial(world, f"{name} cut in the middle of a frame").ends_kept(run_id, rows)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A database that does not answer is given half a minute for each statement: that is for the long suite."""
    if "lost" in metafunc.fixturenames:
        lasting = [name for name in LINES if name != "server-consumer"]  # a call's is gone at once
        quick = [name for name in lasting if not name.endswith("database")]
        metafunc.parametrize("lost", lasting if metafunc.config.getoption("soak") else quick)


async def test_connections_that_are_lost_without_a_word(
    world: World, trial: type[Trial], lost: str
) -> None:
    """As behind a router that forgot them: they never end, while new ones work. Time-outs and heartbeats notice."""
    rows = Rows(2500)
    run_id = await going(world, rows)
    assert world.lines[lost].lose()
    await trial(world, f"{lost} lost without a word").ends_kept(run_id, rows)
