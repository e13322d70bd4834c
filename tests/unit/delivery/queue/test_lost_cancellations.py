"""A cancellation that a library loses on its way is not the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from promise_pub.delivery.queue import runs as runs_module
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import State
from tests.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads")
    async with house.runs:
        yield house


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("step", ["process batch", "remove"])
async def test_a_run_ends_though_its_cancellation_was_lost(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str, times: int
) -> None:
    monkeypatch.setattr(runs_module, "CANCEL_AGAIN", 0.05)
    plain = house.consumer._call
    lost, reached = 0, asyncio.Event()

    async def call(name: str, sent: int | None = None) -> None:
        nonlocal lost
        if name == step:
            reached.set()
        while name == step and lost < times:  # as `asyncio.wait_for` may, when its answer comes
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
        await plain(name, sent)
        if name == step:
            await asyncio.Event().wait()

    house.consumer._call = call  # type: ignore[method-assign]
    run = await house.submit(b"A,a@x\nB,b@x\n", Parameters(mode=Mode.BATCH))
    await asyncio.wait_for(reached.wait(), 30)
    await house.runs.cancel(run.id)
    await asyncio.wait_for(run.done.wait(), 30)
    assert run.report().state is State.CANCELLED
    assert not house.consumer.sessions
    assert lost == times
