"""One world for all faults, and a record of what was tried."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults import document
from tests.faults.checker import Record, Rows, look, telling_adds_up
from tests.faults.remains import Remains
from tests.faults.world import Report, World, running_world

RECORD = Record()


@pytest.fixture(scope="session", autouse=True)
def reliability(request: pytest.FixtureRequest) -> Iterator[None]:
    """Writes what was tried, where that is asked for and nothing failed."""
    started = time.monotonic()
    yield
    path = request.config.getoption("reliability")
    if path and RECORD.entries and not request.session.testsfailed:
        Path(path).write_text(document.text(RECORD, time.monotonic() - started), encoding="utf-8")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("faults") / "world"
    async with running_world(folder) as world:
        yield world


@pytest.fixture(scope="session")
def remains(everything: World) -> Remains:
    return Remains(everything)


@pytest_asyncio.fixture(loop_scope="session")
async def world(everything: World, remains: Remains) -> AsyncIterator[World]:
    """As it should be, at the beginning of each test."""
    await everything.heal()
    yield everything
    await everything.heal()
    await remains.nothing_left()


class Trial:
    """One fault tried once: a run, and what became of its rows."""

    def __init__(self, world: World, fault: str) -> None:
        self._world = world
        self._fault = fault

    async def ends_kept(self, run_id: str, rows: Rows) -> Report:
        """By itself, or resumed: in the end every row is there, once, and the report says so."""
        report, _ = await self._world.concluded(run_id)
        await self.record(report, rows)
        assert report["verdict"] == "kept", (report, self._world.server.output)
        return report

    async def record(self, report: Report, rows: Rows, *, told: int = 0, by: int = 0, lies: bool = False) -> None:
        """`told`: so many rows are lost, and the verdict says how many, though the consumer cannot tell which.

        `by`: another number that says so. `lies`: the consumer's counts are not what it saved.
        """
        outcome = await look(self._world, report, rows, truthful=not lies)
        await telling_adds_up(self._world, report)
        if told:
            assert report["verdict"] != "kept" and outcome.lost == told, (outcome, report)
            words = " ".join(report["explanation"]).split()
            assert str(by or told) in words, report
            outcome = replace(outcome, lost=0, named=told)
        RECORD.add(self._fault, outcome)
        assert (outcome.lost, outcome.doubled) == (0, 0), (outcome, report)


@pytest.fixture
def trial(world: World) -> type[Trial]:
    return Trial
