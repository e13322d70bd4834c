"""The fates of a run that is listed after its end, in the fake store and in PostgreSQL: all of them, or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from promise_pub.db import open_pool
from promise_pub.delivery.input.row_chunks import ChunkPlace, RowChunk
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import RowsNotReady
from promise_pub.fates import Fate, RowGroup
from promise_pub.parameters import Parameters
from promise_pub.records import RunReport, State, StoredFile
from tests.fakes import FakeLedger

NOW = datetime(2026, 11, 30, 1, 2, 3, 456_789, UTC)
GROUPS = (RowGroup(Fate.REJECTED, 0), RowGroup(Fate.UNKNOWN, 3, "why"))


@pytest.fixture(params=["fake", "postgresql"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger | FakeLedger]:
    if request.param == "fake":
        yield FakeLedger()
        return
    async with open_pool(request.getfixturevalue("database"), max_size=3) as pool, ServerLocks(pool) as locks:
        yield Ledger(pool, locks)


@pytest.fixture
async def ended(ledger: Ledger) -> RunReport:
    """A run that failed."""
    run = RunReport(str(uuid4()), Parameters(), StoredFile("a.csv", 1, "h"), NOW)
    await ledger.open_run(run)
    run = replace(run, state=State.FAILED, started_at=NOW, finished_at=NOW + timedelta(seconds=1))
    await ledger.write_run(run)
    return run


async def chunks(
    records: int, begun: asyncio.Event | None = None, going: asyncio.Event | None = None
) -> AsyncIterator[RowChunk]:
    """One, which comes once `going` is set."""
    if begun and going:
        begun.set()
        await going.wait()
    yield RowChunk.make(ChunkPlace(0, 1, 1, 10, 7), [*range(1, records + 1)], bytes([1]) * records)


async def stored(ledger: Ledger, run: RunReport) -> list[int]:
    return [chunk.records for chunk in await ledger.rows.find_chunks(run.id, {1}, 0, 10)]


async def test_chunks_and_groups_of_a_run_that_ended_are_written(ledger: Ledger, ended: RunReport) -> None:
    await ledger.rows.write_ended_run(ended, chunks(3), lambda: GROUPS)
    assert (await ledger.get_run(ended.id)).row_groups == GROUPS
    assert await stored(ledger, ended) == [3]


async def test_a_run_that_is_resumed_has_no_fates_until_it_has_ended_again(ledger: Ledger, ended: RunReport) -> None:
    await ledger.rows.write_ended_run(ended, chunks(3), lambda: GROUPS)
    await ledger.reopen_run(replace(ended, state=State.QUEUED, finished_at=None))
    assert (await ledger.get_run(ended.id)).row_groups == ()


@pytest.mark.parametrize("ends", [None, State.FAILED, State.COMPLETED])
async def test_fates_of_a_turn_before_do_not_replace_those_of_the_last(
    ledger: Ledger, ended: RunReport, ends: State | None
) -> None:
    """The run is resumed, and ends, while those of the turn before are worked out."""
    await ledger.rows.write_chunks(ended.id, chunks(3), tuple)
    begun, going = asyncio.Event(), asyncio.Event()
    writing = asyncio.create_task(ledger.rows.write_ended_run(ended, chunks(3, begun, going), lambda: GROUPS))
    await begun.wait()
    resumed = replace(ended, state=State.QUEUED, finished_at=None)
    await ledger.reopen_run(resumed)
    last = replace(resumed, state=State.PUBLISHING)
    if ends:
        last = replace(resumed, state=ends, finished_at=NOW + timedelta(seconds=5), row_groups=GROUPS[:1])
    await ledger.write_run(last)
    going.set()
    with pytest.raises(RowsNotReady):
        await writing
    assert (await ledger.get_run(ended.id)).row_groups == last.row_groups
    assert await stored(ledger, ended) == [3]
