"""Files of uploads that are swept, and those that a run needs."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from promise_pub.delivery.queue.janitor import UploadJanitor
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import ConsumerStalled, DatabaseUnavailable
from tests.fakes import until
from tests.house import ROWS, House
from tests.jobs.fake_work import FakeWork


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


async def test_the_job_of_a_folder_sweeps_it_and_tells_how_many_files_went(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.uploads._keep = -1.0  # every file is old
    async with house.runs:
        job = house.runs.janitor.job()
        await house.finished()
        async with house.holding("create"):
            current = await house.submit()
            orphan = house.uploads.arrived(str(uuid4()))
            orphan.write_bytes(ROWS)
            work = FakeWork(datetime.now(UTC))
            await job.run(work)
            assert files(house) == [f"{current.id}.csv"]
            assert work.told == [(2, 2, "Deleted 2 files.")]


def test_every_folder_has_a_job_of_its_own_and_a_shared_one_the_same(tmp_path: Path) -> None:
    one, same = House(tmp_path / "a"), House(tmp_path / "b" / ".." / "a")
    other = House(tmp_path / "b")
    names = [house.runs.janitor.job().name for house in (one, same, other)]
    assert names[0] == names[1] != names[2]
    assert all(re.fullmatch("uploads-[0-9a-f]{8}", name) for name in names)


async def test_files_that_a_crash_left_are_kept_or_deleted_at_the_start(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with house.runs:
        run = await failed(house)
    house.uploads.path(run.id).rename(house.uploads.arrived(run.id))  # it was killed before it kept the file
    for orphan in (f"{uuid4()}.part", f"{uuid4()}.whole"):
        (tmp_path / orphan).write_bytes(b"a,b\n")
    async with house.make_runs():
        await until(lambda: files(house) == [f"{run.id}.csv"])
