"""A run made again: the same file and settings in a run of its own, or a reason why not, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.input import uploads as module
from promise_pub.delivery.queue.rerun import rerun
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.telling import News
from promise_pub.errors import DatabaseUnavailable, DiskFull, NotRepeatable, ServerStopping, TooManyWaiting
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import RunReport, State, Verdict
from tests.house import ROWS, House

SETTINGS = Parameters(mode=Mode.BATCH, timeout=7, clear=True, rate=900)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads", max_waiting=1)
    async with house.runs:
        yield house


def files(house: House) -> list[str]:
    return sorted(path.name for path in house.folder.iterdir())


async def again(house: House, run: ActiveRun) -> ActiveRun:
    return await rerun(house.runs, house.recorded(run))


async def test_it_is_a_new_run_of_the_same_file_with_the_same_settings(house: House) -> None:
    first = await house.finished(ROWS, SETTINGS)
    second = await again(house, first)
    await asyncio.wait_for(second.done.wait(), 30)
    report = house.recorded(second)
    assert second.id != first.id and report.created_at > house.recorded(first).created_at
    assert (report.file, report.parameters) == (first.file, SETTINGS)
    assert (report.state, report.verdict, report.counts.confirmed) == (
        State.COMPLETED,
        Verdict.KEPT,
        3,
    )
    assert files(house) == sorted([f"{first.id}.csv", f"{second.id}.csv"])


async def test_neither_runs_file_goes_with_the_others(house: House) -> None:
    first = await house.finished()
    second = await again(house, first)
    await asyncio.wait_for(second.done.wait(), 30)
    await house.uploads.discard(first.id)
    third = await again(house, second)
    await asyncio.wait_for(third.done.wait(), 30)
    assert house.recorded(third).verdict is Verdict.KEPT


async def test_any_number_of_times_it_takes_the_disk_of_one_file_where_the_file_system_can(house: House) -> None:
    first = await house.finished()
    old = house.uploads.path(first.id)
    os.utime(old, (0, 0))
    second = await again(house, first)
    await asyncio.wait_for(second.done.wait(), 30)
    new = house.uploads.path(second.id)
    assert new.samefile(old) and new.stat().st_mtime > time.time() - 60, "it is kept as long as a new one"
    assert files(house) == sorted([old.name, new.name])


async def test_where_files_have_one_name_it_is_a_copy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse_links)
    first = await house.finished()
    second = await again(house, first)
    await asyncio.wait_for(second.done.wait(), 30)
    assert house.recorded(second).verdict is Verdict.KEPT
    assert not house.uploads.path(second.id).samefile(house.uploads.path(first.id))


def refuse_links(*_: Any) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


async def test_no_sweep_takes_its_file_before_the_ledger_knows_its_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await house.finished()
    swept = list[int]()
    open_run = house.ledger.open_run

    async def sweep_first(report: RunReport, news: News) -> None:
        swept.append(await house.uploads.sweep(house.ledger.find_known, house.ledger.find_resumable))
        await open_run(report, news)

    monkeypatch.setattr(house.ledger, "open_run", sweep_first)
    second = await again(house, first)
    await asyncio.wait_for(second.done.wait(), 30)
    assert swept == [0] and house.recorded(second).verdict is Verdict.KEPT


async def test_one_that_still_goes_can_be_made_again(house: House) -> None:
    async with house.holding("create"):
        first = await house.submit()
        second = await rerun(house.runs, house.runs.report(first))
        assert house.runs.report(second).position is not None
    await asyncio.wait_for(second.done.wait(), 30)
    assert house.recorded(second).verdict is Verdict.KEPT


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.unlink(), "missing"),  # swept
        (lambda path: path.write_bytes(b"a,b\n"), "another length"),
        (lambda path: path.write_bytes(ROWS.replace(b"Ann", b"Eve")), "has changed since the upload"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    ],
)
async def test_without_its_file_as_it_was_there_is_no_run(
    house: House, change: Callable[[Path], Any], says: str
) -> None:
    first = await house.finished()
    change(house.uploads.path(first.id))
    before = files(house)
    with pytest.raises(NotRepeatable, match=f"cannot be repeated: .*{says}"):
        await again(house, first)
    assert files(house) == before and list(house.ledger.runs) == [first.id]


async def test_a_full_disk_is_told_and_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await house.finished()

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.Upload, "_write_block", refuse)
    monkeypatch.setattr(os, "link", refuse_links)
    with pytest.raises(DiskFull):
        await again(house, first)
    assert files(house) == [f"{first.id}.csv"] and list(house.ledger.runs) == [first.id]


async def test_without_a_ledger_there_is_no_run_and_no_copy(house: House) -> None:
    first = await house.finished()
    report = house.recorded(first)
    house.ledger.away = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await rerun(house.runs, report)
    assert files(house) == [f"{first.id}.csv"]


async def test_it_waits_like_every_other_or_is_not_taken(house: House) -> None:
    first = await house.finished()
    async with house.holding("create"):
        for _ in range(2):
            await house.submit()
        with pytest.raises(TooManyWaiting):
            await again(house, first)
        assert len(files(house)) == 3


async def test_a_server_that_stops_copies_no_further(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await house.finished()
    plain = house.uploads.read

    async def read(run_id: str, stored: Any) -> AsyncIterator[bytes]:
        async for block in plain(run_id, stored):
            await house.runs.stop()
            yield block

    monkeypatch.setattr(house.uploads, "read", read)
    with pytest.raises(ServerStopping):
        await again(house, first)
    assert files(house) == [f"{first.id}.csv"]
