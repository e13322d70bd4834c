"""The job that deletes page hits that are too old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from promise_pub.jobs import Job, Work
from promise_pub.schedules import Schedule
from promise_pub.text import counted

SCHEDULE = Schedule("37 */6 * * *")
SWEEP_BATCH = 10_000  # hits a step, between which others can write
# A server remembers a session while it may be idle, at most a week. It must not write hits of a forgotten one then.
FORGOTTEN_KEPT = timedelta(days=8)


class OldHits(Protocol):
    """Storage of hits."""

    async def delete_old_hits(self, connection: Any, before: datetime, limit: int) -> int:
        """Deletes up to `limit` hits older than `before`, and returns their number."""

    async def delete_old_forgotten(self, connection: Any, before: datetime) -> None:
        """Deletes the marks of sessions that were forgotten before then."""


def sweep_job(hits: OldHits, keep: int) -> Job:
    """Returns the job that deletes hits after `keep` days."""

    async def sweep(work: Work) -> None:
        deleted, is_done = 0, False
        while not is_done:
            async with work.step() as step:
                swept = await hits.delete_old_hits(step.connection, work.now - timedelta(days=keep), SWEEP_BATCH)
                if is_done := swept < SWEEP_BATCH:
                    await hits.delete_old_forgotten(step.connection, work.now - FORGOTTEN_KEPT)
                deleted += swept
                await step.progress(deleted, None, f"Deleted {counted(deleted, 'page hit')}.")

    return Job(name="visits", title=f"Deletes page hits after {counted(keep, 'day')}.", schedule=SCHEDULE, run=sweep)
