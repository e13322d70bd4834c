"""A site with people who log in, its journal, and its usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.usage.condense import usage_job
from promise_pub.features.usage.records import Action, Aggregate, Question, Usage
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.store import StoredUsage
from promise_pub.jobs import Job
from tests.journal.new_events import an_event
from tests.usage.naive import Login
from tests.usage.running import RunningStep, RunningWork, run_job

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)


@dataclass
class Site:
    pool: asyncpg.Pool
    journal: StoredJournal
    settings: UsageSettings = field(default_factory=lambda: UsageSettings(exclude=()))
    now: datetime = NOW

    def set(self, timezone: str | None = None, **options: Any) -> None:
        zone = {"timezone": ZoneInfo(timezone)} if timezone else {}
        self.settings = replace(self.settings, **zone, **options)

    @property
    def usage(self) -> StoredUsage:
        return StoredUsage(self.pool, self.settings)

    @property
    def job(self) -> Job:
        return usage_job(self.pool, self.journal, self.settings)

    async def log_in(self, *logins: Login | tuple[str, datetime], topic: str = "account.login", **values: Any) -> None:
        events = [
            an_event(**{"source": "own", "topic": f"promise-pub.{topic}", "actor": actor, "at": at, **values})
            for actor, at in logins
        ]
        for first in range(0, len(events), 1000):
            await self.journal.append(events[first : first + 1000])

    async def condense(self, cut_off_in: int | None = None, **arguments: str) -> RunningWork:
        return await run_job(self.pool, self.job, self.now, cut_off_in, **arguments)

    async def next(self) -> str | None:
        return await RunningWork(self.pool, "usage", {}, self.now).cookie("next")

    async def keep(self, next: str) -> None:
        """Keeps a cookie, as another run would have."""
        await RunningStep(self.pool, "usage").keep("next", next)

    async def days(self) -> Sequence[date]:
        return [row["day"] for row in await self.pool.fetch("SELECT day FROM usage_days ORDER BY day")]

    async def rows(self) -> list[tuple[Any, ...]]:
        """Every row that is condensed."""
        query = "SELECT day, action, actor, times, first_at, last_at FROM usage_actors ORDER BY 1, 2, 3"
        return [tuple(row) for row in await self.pool.fetch(query)]

    async def count(
        self,
        start: date,
        end: date,
        aggregate: Aggregate = Aggregate.DAY,
        rolling: int = 0,
        action: Action = Action.LOGIN,
    ) -> Usage:
        question = Question(action=action, aggregate=aggregate, rolling=rolling, start=start, end=end)
        return await self.usage.count(question)

    async def clear(self) -> None:
        for table in ("journal_events", "usage_days", "usage_actors", "usage_forgotten", "job_cookies"):
            await self.pool.execute(f"DELETE FROM {table}")
        await self.pool.execute("UPDATE journal_head SET seq = 0, oldest = 1, swept = NULL, received_at = '-infinity'")


def noon(day: int, hour: int = 12) -> datetime:
    """A moment of January 2026."""
    return datetime(2026, 1, day, hour, tzinfo=UTC)
