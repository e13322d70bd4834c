"""Events that are too old: the steps of the job that deletes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from promise_pub.features.journal.ports import Head, Swept
from promise_pub.features.journal.sweeping import SWEEP_BATCH, sweep_job
from tests.jobs.fake_work import FakeWork

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class FakeJournal:
    """A journal with events that are too old, as a number."""

    def __init__(self, old: int, held_for: str | None = None) -> None:
        self.old, self.held_for = old, held_for
        self.asked: list[tuple[datetime, int | None]] = []

    async def head(self) -> Head:
        return Head(99, 1, NOW, 7, UUID(int=1), False)

    async def sweep(self, connection: Any, before: datetime, limit: int, published: int | None) -> Swept:
        self.asked.append((before, published))
        deleted = min(self.old, limit)
        self.old -= deleted
        return Swept(deleted, self.held_for)


@pytest.mark.parametrize(("publishes", "protected"), [(False, None), (True, 7)])
async def test_old_events_are_deleted_a_piece_a_step_and_none_that_is_not_on_the_bus(
    publishes: bool, protected: int | None
) -> None:
    journal, work = FakeJournal(SWEEP_BATCH * 2 + 1), FakeWork(NOW)
    await sweep_job(journal, 90, publishes=publishes).run(work)
    assert journal.asked == [(NOW - timedelta(days=90), protected)] * 3
    assert [told[2] for told in work.told] == [f"Deleted {n} events." for n in ("10,000", "20,000", "20,001")]


@pytest.mark.parametrize(("held_for", "reader"), [("stats", "stats"), ("", "the bus")])
async def test_those_who_keep_others_are_named(held_for: str, reader: str) -> None:
    work = FakeWork(NOW)
    await sweep_job(FakeJournal(1, held_for), 90, publishes=False).run(work)
    assert work.told == [(1, None, f"Deleted 1 event. Others are kept longer: {reader} has not read them.")]
