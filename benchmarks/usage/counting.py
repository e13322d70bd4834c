"""Days condensed, and periods counted: by promise-pub, and as the original does it, with pandas, from the same rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from benchmarks.measure import middle
from benchmarks.services import NotMeasured
from benchmarks.usage.filling import fill_with_logins
from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.usage.condense import usage_job
from promise_pub.features.usage.records import Action, Aggregate, Question
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.store import StoredUsage
from promise_pub.settings.model import DatabaseSettings
from tests.usage.running import RunningStep, RunningWork

REPEATS = 5
LOOK_EVERY = 0.002  # seconds, to see how long the loop is held
WINDOW, RECENT = 30, 90  # days
_PANDAS = {
    Aggregate.DAY: "D",
    Aggregate.WEEK: "W",
    Aggregate.MONTH: "ME",
    Aggregate.QUARTER: "QE",
    Aggregate.YEAR: "YE",
}
# One row a day and user favours the original, which keeps every login.
_ROWS = "SELECT day::timestamp AS timestamp, actor AS user FROM usage_actors WHERE action = 'login' AND day >= $1 AND day < $2"


@dataclass
class Measured:
    """Seconds for each day and for all; the longest times that the loop was held; seconds of each count, and the peer's."""

    days: list[float] = field(default_factory=list)
    all_days: float = 0.0
    held: list[float] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    peers: dict[str, float] = field(default_factory=dict)


class _TimedWork(RunningWork):
    """A run that notes how long each step takes, its commit included."""

    def __init__(self, *given: Any, seconds: list[float]) -> None:
        super().__init__(*given)
        self._seconds = seconds

    @asynccontextmanager
    async def step(self) -> AsyncIterator[RunningStep]:
        started = time.perf_counter()
        async with super().step() as step:
            yield step
        self._seconds.append(time.perf_counter() - started)


async def measure_usage(database: DatabaseSettings, logins: int, users: int, days: int) -> Measured:
    await fill_with_logins(database, logins, users, days - 1)
    measured, settings = Measured(), UsageSettings()
    async with db.open_pool(database, max_size=3) as pool:
        watching = asyncio.create_task(_watch(measured.held))
        started, now = time.perf_counter(), datetime.now(UTC)
        work = _TimedWork(pool, "usage", {}, now, seconds=measured.days)
        await usage_job(pool, StoredJournal(pool), settings).run(work)
        measured.all_days = time.perf_counter() - started
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        # Of the days, not of what is swept after them.
        del measured.days[days:]
        await pool.execute("VACUUM (ANALYZE) usage_actors")
        await _count(pool, settings, now.date() + timedelta(days=1), days, measured)
    return measured


async def _watch(held: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(LOOK_EVERY)
        held.append(time.perf_counter() - started - LOOK_EVERY)


async def _count(pool: asyncpg.Pool, settings: UsageSettings, end: date, days: int, measured: Measured) -> None:
    usage = StoredUsage(pool, settings)
    for span in (days, RECENT):
        start = end - timedelta(days=span)
        for aggregate in Aggregate:
            name = f"{span:,} days by {aggregate}"
            ours = _question(aggregate, 0, start, end)
            measured.counts[name], counted = await _timed(lambda asked=ours: usage.count(asked))
            measured.peers[name], told = await _timed(
                lambda aggregate=aggregate, start=start: _count_as_the_original(pool, aggregate, start, end)
            )
            by_peer = [users for users in told if users]
            if [one.users for one in counted.periods if one.users] != by_peer:
                raise NotMeasured(f"{name}: both count differently.")
        rolling = _question(Aggregate.DAY, WINDOW, start, end)
        measured.counts[f"{span:,} days, rolling {WINDOW}"], _ = await _timed(lambda asked=rolling: usage.count(asked))


def _question(aggregate: Aggregate, rolling: int, start: date, end: date) -> Question:
    return Question(action=Action.LOGIN, aggregate=aggregate, rolling=rolling, start=start, end=end)


async def _timed(count: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    seconds, counted = [], None
    for _ in range(REPEATS):
        started = time.perf_counter()
        counted = await count()
        seconds.append(time.perf_counter() - started)
    return middle(seconds), counted


async def _count_as_the_original(pool: asyncpg.Pool, aggregate: Aggregate, start: date, end: date) -> Sequence[int]:
    """Reads every row one by one and groups them in the event loop."""
    rows: list[Mapping[str, Any]] = []
    async with pool.acquire() as connection, connection.transaction():
        async for row in connection.cursor(_ROWS, start, end, prefetch=1000):
            rows.append({"timestamp": row["timestamp"], "user": row["user"]})
    # Of the benchmarks alone, whose own tests do without it.
    import pandas

    frame = pandas.DataFrame(rows).set_index("timestamp")
    grouped = frame.groupby(pandas.Grouper(freq=_PANDAS[aggregate]))["user"].nunique()
    return [int(users) for users in grouped.sort_index()]
