"""The lines between the parts: cut, half open, slow, and cut in the middle of a frame.

In batch mode the consumer's lines rest until every row is published: faults on them begin when it has begun to save.
Most faults take each line in one mode and the next line in the other.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.checker import Rows
from tests.faults.conftest import Trial
from tests.faults.lines import Line
from tests.faults.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = [
    "server-broker",
    "server-consumer",
    "server-database",
    "consumer-broker",
    "consumer-database",
]
LIVE_FIRST = [*zip(LINES, itertools.cycle(["live", "batch"]))]
BATCH_FIRST = [*zip(LINES, itertools.cycle(["batch", "live"]))]
# Bytes that come through yet. Calls to the consumer are short: these fall into a question and an answer.
AFTER = {"server-consumer": (1, 150, 500)}
CUTS = [
    (name, mode, AFTER.get(name, (1, 700, 5_003))[which])
    for which, modes in enumerate((LIVE_FIRST, BATCH_FIRST, LIVE_FIRST))
    for name, mode in modes
]


@asynccontextmanager
async def in_use(world: World, rows: Rows, mode: str, name: str) -> AsyncIterator[str]:
    """A run that uses the line, and goes on with the block. A consumer in batch mode is held up with its first rows while the block lasts."""
    run_id = await world.send_some(rows.csv(), mode=mode, timeout=2, rate=1500)
    if mode == "batch" and name.startswith("consumer"):
        last = world.lines["consumer-database"]
        last.stall()
        world.go_on()
        await world.until(run_id, lambda run: run["state"] == "draining")
        await last.until(lambda: last.held > 0)
        yield run_id
        last.flow()
        return
    world.go_on()
    yield run_id


async def used_again(world: World, line: Line, run_id: str) -> None:
    """By somebody new; or the run needed nobody."""
    asked = line.asked
    await world.until(run_id, lambda run: line.asked > asked or run["state"] == "completed")


@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("name", LINES)
async def test_a_line_that_is_cut(world: World, trial: type[Trial], name: str, mode: str) -> None:
    """And again as soon as somebody has come back."""
    rows, line = Rows(2500, repeats=5), world.lines[name]
    cuts = line.cuts
    async with in_use(world, rows, mode, name) as run_id:
        line.cut_in_use()
    for _ in range(2):
        await used_again(world, line, run_id)
        line.cut_in_use()
    await trial(world, f"{name} cut").ends_kept(run_id, rows)
    assert line.cuts > cuts


@pytest.mark.parametrize(("name", "mode"), BATCH_FIRST)
async def test_a_line_that_is_down_for_a_while(world: World, trial: type[Trial], name: str, mode: str) -> None:
    """Until whoever uses it has been turned away twice, and a second more."""
    rows, line = Rows(2500), world.lines[name]
    async with in_use(world, rows, mode, name) as run_id:
        line.down = True
        asked = line.asked
        line.cut()
    await line.until(lambda: line.asked > asked + 1)
    await asyncio.sleep(1)
    line.heal()
    await trial(world, f"{name} down for a while").ends_kept(run_id, rows)


@pytest.mark.parametrize(("name", "mode"), LIVE_FIRST)
async def test_a_line_that_swallows_what_comes_and_is_cut_then(
    world: World, trial: type[Trial], name: str, mode: str
) -> None:
    rows, line = Rows(2500), world.lines[name]
    async with in_use(world, rows, mode, name) as run_id:
        line.stall()
        if name == "consumer-broker" and mode == "batch":
            world.lines["consumer-database"].flow()  # or nothing comes to this one
        await line.until(lambda: line.held > 0)
        await asyncio.sleep(2)
        line.cut()
        line.heal()
    await trial(world, f"{name} half open").ends_kept(run_id, rows)


@pytest.mark.parametrize(("name", "mode"), [("server-broker", "batch"), ("consumer-broker", "live")])
async def test_a_line_to_the_broker_that_stays_half_open_is_noticed(
    world: World, trial: type[Trial], name: str, mode: str
) -> None:
    """By heartbeats that do not come: nothing on the line ever ends, and yet another connection is asked for."""
    rows, line = Rows(2500), world.lines[name]
    async with in_use(world, rows, mode, name) as run_id:
        line.stall()
        asked = line.asked
    await line.until(lambda: line.asked > asked)
    line.heal()
    await trial(world, f"{name} half open until it is noticed").ends_kept(run_id, rows)


@pytest.mark.parametrize(("name", "mode"), BATCH_FIRST)
async def test_a_line_that_is_slow(world: World, trial: type[Trial], name: str, mode: str) -> None:
    """Until some pieces have come late."""
    rows, line = Rows(1500), world.lines[name]
    async with in_use(world, rows, mode, name) as run_id:
        line.delay = 0.5
        pieces = line.pieces
    await world.until(run_id, lambda run: line.pieces > pieces + 3 or run["state"] == "completed")
    assert line.pieces > pieces
    line.heal()
    await trial(world, f"{name} delayed by 500 ms").ends_kept(run_id, rows)


@pytest.mark.parametrize(("name", "mode", "after"), CUTS)
async def test_a_line_that_is_cut_in_the_middle_of_a_frame(
    world: World, trial: type[Trial], name: str, mode: str, after: int
) -> None:
    rows, line = Rows(2000), world.lines[name]
    cuts = line.cuts
    if (name, mode) == (
        "consumer-broker",
        "batch",
    ):  # it takes all there is before it begins to save
        run_id = await world.send_some(rows.csv(), mode=mode, timeout=2, rate=1500)
        line.cut_after = after
        world.go_on()
    else:
        async with in_use(world, rows, mode, name) as run_id:
            line.cut_after = after
    await trial(world, f"{name} cut in the middle of a frame").ends_kept(run_id, rows)
    assert line.cuts == cuts + 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A database that does not answer is given half a minute for each statement: that is for the long suite."""
    if "lost" in metafunc.fixturenames:
        lasting = [name for name in LINES if name != "server-consumer"]  # a call's is gone at once
        quick = [name for name in lasting if not name.endswith("database")]
        metafunc.parametrize("lost", lasting if metafunc.config.getoption("soak") else quick)


async def test_connections_that_are_lost_without_a_word(world: World, trial: type[Trial], lost: str) -> None:
    """As behind a router that forgot them: they do not end, while new ones work. Time-outs and heartbeats notice."""
    rows = Rows(2500)
    async with in_use(world, rows, "live", lost) as run_id:
        assert world.lines[lost].lose()
    await trial(world, f"{lost} lost without a word").ends_kept(run_id, rows)
