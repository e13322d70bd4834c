"""Files of uploads that are swept, and those that a run needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from promise_pub.delivery.queue import janitor as module
from promise_pub.delivery.queue.janitor import UploadJanitor
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import ConsumerStalled, DatabaseUnavailable
from tests.fakes import until
from tests.house import ROWS, House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    async with house.runs:
        yield house


async def failed(house: House) -> ActiveRun:
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    run = await house.finished()
    house.consumer.fail.clear()
    return run


def files(house: House) -> list[str]:
    return sorted(file.name for file in house.folder.iterdir())


async def test_the_files_of_active_and_resumable_runs_stay(house: House) -> None:
    resumable = await failed(house)
    await house.finished()
    async with house.holding("create"):
        current, waiting = await house.submit(), await house.submit()
        active = [current, waiting]
        janitor = UploadJanitor(house.uploads, house.ledger, lambda: active)
        for file in house.folder.iterdir():
            os.utime(file, (0, 0))
        await janitor.sweep()
        assert files(house) == sorted(f"{run.id}.csv" for run in (resumable, current, waiting))
    for run in active:
        await asyncio.wait_for(run.done.wait(), 30)
    await asyncio.wait_for((await house.runs.resume(resumable.id)).done.wait(), 30)
    active.clear()
    for file in house.folder.iterdir():
        os.utime(file, (0, 0))
    await janitor.sweep()
    assert files(house) == []


async def test_without_a_ledger_nothing_is_swept(house: House) -> None:
    run = await house.finished()
    os.utime(house.uploads.path(run.id), (0, 0))
    house.ledger.away = DatabaseUnavailable("gone")
    with pytest.raises(DatabaseUnavailable):
        await UploadJanitor(house.uploads, house.ledger, list).sweep()
    assert files(house) == [f"{run.id}.csv"]


async def test_the_server_sweeps_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_EVERY", 0.01)
    house = House(tmp_path)
    house.uploads._keep = -1.0  # every file is old
    async with house.runs:
        await house.finished()
        await until(lambda: not files(house))
        async with house.holding("create"):
            current = await house.submit()
            orphan = house.uploads.arrived(str(uuid4()))
            orphan.write_bytes(ROWS)
            await until(lambda: not orphan.exists())
            assert house.uploads.path(current.id).exists()


async def test_files_that_a_crash_left_are_kept_or_deleted_at_the_start(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.runs:
        run = await failed(house)
    house.uploads.path(run.id).rename(house.uploads.arrived(run.id))  # it was killed before it kept the file
    for orphan in (f"{uuid4()}.part", f"{uuid4()}.whole"):
        (tmp_path / orphan).write_bytes(b"a,b\n")
    async with house.make_runs():
        await until(lambda: files(house) == [f"{run.id}.csv"])
