"""The job that deletes events that are too old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from promise_pub.features.journal.ports import Head, Swept
from promise_pub.jobs import Job, Work
from promise_pub.schedules import Schedule
from promise_pub.text import counted

SCHEDULE = Schedule("*/10 * * * *")
SWEEP_BATCH = 10_000  # events a step, between which others can append


class SweptJournal(Protocol):
    """Storage of the journal. Every method may raise a DatabaseError."""

    async def head(self) -> Head: ...

    async def sweep(self, connection: Any, before: datetime, limit: int, published: int | None) -> Swept: ...


def sweep_job(journal: SweptJournal, keep: int, *, publishes: bool) -> Job:
    """Returns the job that deletes events after `keep` days. Where they are published, no event goes that is not on the
    bus."""

    return Job(
        name="journal",
        title=f"Deletes events of the journal after {counted(keep, 'day')}.",
        schedule=SCHEDULE,
        run=_sweeping(journal, timedelta(days=keep), publishes),
    )


def _sweeping(journal: SweptJournal, keep: timedelta, publishes: bool) -> Callable[[Work], Awaitable[None]]:
    async def sweep(work: Work) -> None:
        deleted, is_done = 0, False
        while not is_done:
            published = (await journal.head()).published if publishes else None
            async with work.step() as step:
                swept = await journal.sweep(step.connection, work.now - keep, SWEEP_BATCH, published)
                deleted += swept.deleted
                await step.progress(deleted, None, _words(deleted, swept.held_for))
            is_done = swept.deleted < SWEEP_BATCH

    return sweep


def _words(deleted: int, held_for: str | None) -> str:
    told = f"Deleted {counted(deleted, 'event')}."
    if held_for is None:
        return told
    return f"{told} Others are kept longer: {held_for or 'the bus'} has not read them."
