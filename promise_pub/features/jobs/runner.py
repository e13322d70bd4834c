"""Runs of jobs on this server, from their beginning until their end is written."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import asyncpg

from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import DatabaseError, Interrupted, PromisePubError, RunTaken
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.features.jobs.run_queue import Ended, RunQueue
from promise_pub.features.jobs.states import End, Waits
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.features.jobs.work import LIMITS, RunWork, StepLimits, perform
from promise_pub.http.features import Servers
from promise_pub.jobs import Job
from promise_pub.logs import fields
from promise_pub.outages import Outage

log = logging.getLogger(__name__)

STILL_GOING = 1.0  # seconds until a run is looked at again, of which a step still goes on in the database


class JobRunner:
    """The runs that go on here. `works` has them by their number, `ended` the number of those that ended, by job and state,
    and `last_completed` when the newest that was completed ended."""

    def __init__(self, pool: asyncpg.Pool, queue: RunQueue, servers: Servers, limits: StepLimits) -> None:
        self._pool = pool
        self._queue = queue
        self._servers = servers
        self._limits = limits
        self.works: dict[int, tuple[str, RunWork]] = {}
        self.ended: Counter[tuple[str, State]] = Counter()
        self.last_completed: dict[str, datetime] = {}
        self._is_stopping = False

    async def run_to_end(self, job: Job, run: JobRun) -> None:
        """Runs a job until its end is written, or the run is another server's. An orderly stop, by cancellation, is written
        as long as the database answers."""
        work = RunWork(self._pool, run, self._limits)
        if self._is_stopping:
            work.stop()
        self.works[run.id] = job.name, work
        log.info("A run of a job has started", extra=fields(job=job.name, job_run=run.id, attempt=run.attempt))
        try:
            end, error = await perform(job, work)
            await self._end_surely(job, run, end, error)
        except RunTaken:
            log.warning("A run of a job is not this server's any more", extra=fields(job=job.name, job_run=run.id))
        except asyncio.CancelledError:
            with suppress(RunTaken, DatabaseError):
                await self._end(job, run.id, self._servers.server, End.STOPPED, Interrupted("The server stopped."))
            raise
        finally:
            del self.works[run.id]

    async def take_over(self, job: Job, run: int, server: int | None) -> bool:
        """Ends a run whose server is dead, or that is ours and goes on no longer. Returns False where it still goes on."""
        if run in self.works or server is None:
            return False
        if server != self._servers.server and not await self._servers.is_dead(server):
            return False
        with suppress(RunTaken):
            if not await self._end(job, run, server, End.CUT, Interrupted("The server of the run is gone.")):
                return False
            log.warning("A run of a job is taken over", extra=fields(job=job.name, job_run=run, server=server))
        return True

    def stop(self) -> None:
        """Lets no further step begin, neither of runs that go on nor of those that are begun yet."""
        self._is_stopping = True
        for _, work in self.works.values():
            work.stop()

    async def _end_surely(self, job: Job, run: JobRun, end: End, error: PromisePubError | None) -> None:
        """Writes the end of a run, however long the database is away. Raises RunTaken."""
        outage = Outage("The end of a job's run is not written", "The ends of jobs' runs are written again")
        while True:
            delay = STILL_GOING
            try:
                if await self._end(job, run.id, self._servers.server, end, error):
                    break
            except DatabaseError as trouble:
                delay = outage.note(trouble)
            await asyncio.sleep(delay)
        outage.end()

    async def _end(self, job: Job, run: int, server: int, end: End, error: PromisePubError | None) -> Ended | None:
        ended = await self._queue.end(run, server, job.attempts, end, error)
        if ended:
            self.ended[job.name, ended.state] += 1
            if ended.state is State.COMPLETED:
                self.last_completed[job.name] = ended.at
            next_try = f"in {ended.following.wait.total_seconds():.0f} s" if ended.following else None
            told = {
                "job": job.name,
                "job_run": run,
                "state": ended.state,
                "why": error and error.code,
                "next": next_try,
            }
            log.info("A run of a job has ended", extra=fields(**told))
        return ended


async def run_here(
    job: Job,
    pool: asyncpg.Pool,
    arguments: Mapping[str, str],
    asked_by: str | None,
    limits: StepLimits = LIMITS,
) -> JobRun:
    """Runs a job in this process, beside any servers, and returns its run as it ended.

    It takes two connections of the pool. Raises JobWaiting where a run of the job goes on, and a kind of DatabaseError. A
    cancelled run is interrupted, and resumed by a server.
    """
    async with ServerLocks(pool) as servers:
        queue = RunQueue(pool, servers.server, Waits())
        runner = JobRunner(pool, queue, servers, limits)
        await queue.declare([job])
        if going := await queue.going(job.name):
            await runner.take_over(job, going.id, going.server)
        run = await queue.begin(job.name, arguments, asked_by)
        await runner.run_to_end(job, run)
    return await StoredJobs(pool).run(run.id)
