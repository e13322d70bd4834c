"""Each second: the jobs that are due, the runs that wait, and those whose server is dead."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg

from promise_pub.concurrency import BackgroundTasks, finish_task, wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.features.jobs.records import State
from promise_pub.features.jobs.run_queue import RunQueue, Standing
from promise_pub.features.jobs.runner import JobRunner
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.states import Waits
from promise_pub.features.jobs.work import StepLimits
from promise_pub.http.features import Servers
from promise_pub.jobs import Job
from promise_pub.logs import fields
from promise_pub.outages import BACKOFF, Outage
from promise_pub.retries import Backoff, raise_if_cancelled

log = logging.getLogger(__name__)

MAX_RUNNING = 2  # runs at once: pages and deliveries need the pool's other connections
CLOCK_WRONG = timedelta(hours=1)  # that a due time that was seen to lies ahead, which cannot be


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds between looks at jobs, between notes that this server has them, and between sweeps; the seconds that a
    step has to end before it is rolled back, and its end to be written, when the server stops."""

    look: float = 1.0
    declare: float = 60.0
    sweep: float = 3600.0
    finish: float = 1.0
    waits: Waits = field(default_factory=Waits)
    limits: StepLimits = field(default_factory=StepLimits)
    backoff: Backoff = BACKOFF


class JobsKeeper:
    """Runs jobs while it is open, beside those of other servers.

    `ended` has the number of runs that ended here, or were taken over, by job and state; `last_completed` when the newest
    run that was completed ended, of each job, as far as this server knows.
    """

    def __init__(
        self, jobs: Sequence[Job], pool: asyncpg.Pool, servers: Servers, settings: JobsSettings, pace: Pace
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._queue = RunQueue(pool, servers.server, pace.waits)
        self._runner = JobRunner(pool, self._queue, servers, pace.limits)
        self._keep = timedelta(days=settings.keep)
        self._pace = pace
        self._tasks = BackgroundTasks()
        self._nexts: dict[str, tuple[datetime, datetime]] = {}
        self._next_declare = self._next_sweep = 0.0

    @property
    def running(self) -> Collection[str]:
        """The names of jobs that run here."""
        return [name for name, _ in self._runner.works.values()]

    @property
    def ended(self) -> Counter[tuple[str, State]]:
        return self._runner.ended

    @property
    def last_completed(self) -> Mapping[str, datetime]:
        return self._runner.last_completed

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Looks during the block. At its end steps may end, or are rolled back, and runs are left to others."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()
            self._runner.stop()
            # A database that hangs is waited for no longer: the runs are taken over from a server that is gone.
            for _ in ("steps end", "ends are written"):
                await wait_or_cancel([looking, *self._tasks], self._pace.finish)

    async def look(self) -> None:
        """Sees to all that stands. Raises a kind of DatabaseError."""
        now = asyncio.get_running_loop().time()
        if now >= self._next_declare:
            await self._declare(now)
        standings = await self._queue.look(self._jobs)
        if len(standings) < len(self._jobs):
            self._next_declare = now
        ready = []
        for standing in standings:
            is_due = await self._see_to_due(standing)
            is_free = standing.run is None or await self._take_over(standing)
            if is_free and (is_due or standing.is_ready or standing.run is not None):
                ready.append(standing.job)
        await self._start(ready)
        if now >= self._next_sweep and await self._queue.sweep(self._keep, self._jobs):
            self._next_sweep = now + self._pace.sweep

    async def _keep_looking(self) -> None:
        outage = Outage("Jobs are not run", "Jobs are run again", self._pace.backoff)
        while True:
            raise_if_cancelled()
            delay = self._pace.look
            try:
                await self.look()
                outage.end()
            except DatabaseError as error:
                delay = outage.note(error)
            except Exception:
                log.exception("Jobs are not run after an unexpected error")
                delay = self._pace.backoff.longest
            await asyncio.sleep(delay)

    async def _declare(self, now: float) -> None:
        await self._queue.declare(self._jobs.values())
        if not self._next_declare:
            known = await self._queue.last_completed(self._jobs)
            self._runner.last_completed.update({**known, **self._runner.last_completed})
        self._next_declare = now + self._pace.declare

    async def _see_to_due(self, standing: Standing) -> bool:
        """Queues a run for due times that nobody has seen to. Returns True where it did."""
        schedule, last, now = self._jobs[standing.job].schedule, standing.last_due, standing.now
        if schedule is None:
            return False
        if last > now + CLOCK_WRONG:
            if await self._queue.correct_clock(standing):
                told = fields(job=standing.job, seen_to=last.isoformat(), now=now.isoformat())
                log.warning("The clock of the database was wrong: due times of the future were seen to", extra=told)
            return False
        known = self._nexts.get(standing.job)
        if known is None or known[0] != last:
            known = self._nexts[standing.job] = last, schedule.next_due(last)
        if now < known[1]:
            return False
        due = schedule.last_due(now)
        missed = schedule.missed(last, due)
        is_queued = await self._queue.fall_due(standing, due, missed)
        if is_queued:
            log.info("A job is due", extra=fields(job=standing.job, due=due.isoformat(), missed=missed))
        return is_queued

    async def _take_over(self, standing: Standing) -> bool:
        assert standing.run is not None
        return await self._runner.take_over(self._jobs[standing.job], standing.run, standing.server)

    async def _start(self, ready: Collection[str]) -> None:
        """Starts runs of these jobs, the oldest first, as far as there is room."""
        while len(self._runner.works) < MAX_RUNNING and (free := [name for name in ready if name not in self.running]):
            # A run that is this server's is begun, or nobody would end it when the server stops just then.
            if not await finish_task(asyncio.create_task(self._claim(free)), self._pace.finish):
                break

    async def _claim(self, free: Collection[str]) -> bool:
        """Starts the oldest run of these jobs. Returns False where there is none."""
        run = await self._queue.claim(free)
        if run is None:
            return False
        self._tasks.start(self._runner.run_to_end(self._jobs[run.job], run))
        # It counts as running once its task has begun.
        await asyncio.sleep(0)
        return True


@asynccontextmanager
async def open_keeper(
    jobs: Sequence[Job],
    pool: asyncpg.Pool,
    servers: Servers,
    settings: JobsSettings,
    pace: Pace = Pace(),
) -> AsyncIterator[JobsKeeper]:
    """Runs jobs during the block, where the settings enable that. It never waits for the database."""
    keeper = JobsKeeper(jobs, pool, servers, settings, pace)
    if not settings.enabled:
        yield keeper
        return
    async with keeper.working():
        yield keeper
