"""Reports that the ledger keeps parsed: the same while the row is, another as soon as anybody has changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from promise_pub.db import open_pool
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.delivery.store.run_rows import MAX_KEPT
from promise_pub.parameters import Parameters
from promise_pub.records import RunReport, State, StoredFile
from promise_pub.settings.model import DatabaseSettings


@pytest.fixture
async def ledger(database: DatabaseSettings) -> AsyncIterator[Ledger]:
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        yield Ledger(pool, locks)


async def written(ledger: Ledger, returned_rows: str) -> RunReport:
    run = RunReport(str(uuid4()), Parameters(), StoredFile("a.csv", 1, "h"), datetime.now(UTC))
    await ledger.open_run(run)
    run = replace(run, state=State.PUBLISHING, returned_rows=returned_rows)
    await ledger.write_run(run)
    return run


async def test_a_run_that_has_not_changed_is_parsed_once_and_one_that_has_again(ledger: Ledger) -> None:
    run = await written(ledger, "1-3")
    first = await ledger.get_run(run.id)
    assert await ledger.get_run(run.id) is first
    assert (await ledger.list_runs(10))[0][0] is first
    await ledger.write_run(replace(run, returned_rows="1-4"))
    assert (await ledger.get_run(run.id)).returned_rows == "1-4"
    assert (await ledger.list_runs(10))[0][0].returned_rows == "1-4"


async def test_one_that_is_long_is_not_kept(ledger: Ledger) -> None:
    run = await written(ledger, "9" * MAX_KEPT)
    first, again = await ledger.get_run(run.id), await ledger.get_run(run.id)
    assert first == again and first is not again
