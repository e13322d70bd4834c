"""The end of a run that is stopped while it has its turn, by whom and for which reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.records import RunReport, State
from tests.fakes import until
from tests.house import House


class Turns:
    """Keeps what the holder of the turn is to call when it is lost."""

    def __init__(self, house: House) -> None:
        self.lost: Callable[[], None] = lambda: None
        house.ledger.exclusive_turn = self.turn  # type: ignore[method-assign]

    @asynccontextmanager
    async def turn(self, lost: Callable[[], None]) -> AsyncIterator[None]:
        self.lost = lost
        yield


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    async with house.runs:
        yield house


async def draining(house: House) -> ActiveRun:
    house.consumer.hang.add("remove")
    run = await house.submit()
    await until(lambda: "remove" in house.consumer.calls)
    return run


async def ended(run: ActiveRun) -> RunReport:
    await asyncio.wait_for(run.done.wait(), 30)
    return run.report()


async def test_a_run_whose_turn_is_lost_is_interrupted_and_leaves_the_session_alone(house: House) -> None:
    turns, run = Turns(house), await draining(house)
    turns.lost()
    report = await ended(run)
    assert report.state is State.INTERRUPTED and report.error
    assert "Another server talks to the consumer" in report.error.message
    assert house.consumer.sessions and "abandon" not in house.consumer.calls
    assert house.recorded(run) == report


@pytest.mark.parametrize("evicted_first", [False, True])
async def test_a_cancelled_run_that_is_evicted_as_well_is_cancelled_and_leaves_the_session_alone(
    house: House, evicted_first: bool
) -> None:
    turns, run = Turns(house), await draining(house)
    if evicted_first:
        turns.lost()
    run.stop(StopReason.USER)
    if not evicted_first:
        turns.lost()
    assert (await ended(run)).state is State.CANCELLED
    assert house.consumer.sessions and "abandon" not in house.consumer.calls


@pytest.mark.parametrize(("way", "state"), [("stop", State.INTERRUPTED), ("cancel", State.CANCELLED)])
async def test_a_run_that_is_stopped_in_the_moment_its_turn_comes_has_an_end(
    house: House, way: str, state: State
) -> None:
    submitting = asyncio.create_task(house.submit())
    while not (run := house.runs.current):  # noqa: ASYNC110  the very moment is what counts
        await asyncio.sleep(0)
    await (house.runs.stop() if way == "stop" else house.runs.cancel(run.id))
    assert (await ended(run)).state is state
    assert house.recorded(await submitting).state is state
    assert house.consumer.calls == []


async def test_a_user_can_cancel_a_run_whose_eviction_a_library_lost(house: House) -> None:
    turns, plain, reached, lost = Turns(house), house.consumer._call, asyncio.Event(), asyncio.Event()

    async def call(name: str, sent: int | None = None) -> None:
        if name == "remove":
            reached.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            lost.set()
            await asyncio.Event().wait()
        await plain(name, sent)

    house.consumer._call = call  # type: ignore[method-assign]
    run = await house.submit()
    await asyncio.wait_for(reached.wait(), 30)
    turns.lost()
    await asyncio.wait_for(lost.wait(), 30)
    await house.runs.cancel(run.id)
    assert (await ended(run)).state is State.CANCELLED


async def test_a_run_that_waits_for_the_turn_of_another_server_is_stopped_as_queued(house: House) -> None:
    asked = asyncio.Event()

    @asynccontextmanager
    async def never(lost: Any) -> AsyncIterator[None]:
        asked.set()
        await asyncio.Event().wait()
        yield

    house.ledger.exclusive_turn = never  # type: ignore[method-assign]
    run = await house.submit()
    await asyncio.wait_for(asked.wait(), 30)
    await house.runs.stop()
    report = await ended(run)
    assert report.error and report.error.message == "The server was stopped while the run was queued."
    assert house.consumer.calls == []
