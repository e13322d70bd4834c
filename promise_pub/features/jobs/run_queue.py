"""Runs as a server takes them from the database, and tells it what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, answering
from promise_pub.errors import PromisePubError, RunTaken
from promise_pub.features.jobs.errors import JobWaiting
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.features.jobs.states import End, Next, Waits, follow
from promise_pub.features.jobs.store import job_queries, run_of
from promise_pub.jobs import Job
from promise_pub.json_text import dump_json
from promise_pub.schedules import MAX_MISSED
from promise_pub.text import storable

SWEEP_TIMEOUT = 30.0  # seconds
SWEEP_BATCH = 1_000  # runs a statement
MAX_MESSAGE = 2_000  # characters that are kept


@dataclass(frozen=True, slots=True)
class Standing:
    """A job by the clock of the database. `run` goes on, on a server; `is_ready` tells whether another's time has come."""

    job: str
    last_due: datetime
    now: datetime
    run: int | None
    server: int | None
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run: its state, its time, and the next try; None also where an equal run waits."""

    state: State
    at: datetime
    following: Next | None


class RunQueue:
    """The runs of jobs as `server` takes them. Every method raises a kind of DatabaseError."""

    def __init__(self, pool: asyncpg.Pool, server: int, waits: Waits) -> None:
        self._pool = pool
        self._server = server
        self._waits = waits
        self._sql = job_queries()

    async def declare(self, jobs: Collection[Job]) -> None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.declare(
                connection,
                jobs=[job.name for job in jobs],
                titles=[job.title for job in jobs],
                schedules=[job.schedule.text if job.schedule else None for job in jobs],
                zones=[str(job.schedule.zone) if job.schedule else "UTC" for job in jobs],
            )

    async def last_completed(self, jobs: Collection[str]) -> Mapping[str, datetime]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            found = self._sql.last_completed(connection, jobs=[*jobs])
            return {row["job"]: row["ended_at"] async for row in found}

    async def look(self, jobs: Collection[str]) -> Sequence[Standing]:
        # The one query of a second in which nothing is due.
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return [Standing(**row) async for row in self._sql.look(connection, jobs=[*jobs])]

    async def fall_due(self, standing: Standing, due: datetime, missed: int) -> bool:
        """Queues a run for what is due. Returns False where another server has, or the job is paused."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return bool(
                await self._sql.fall_due(
                    connection,
                    job=standing.job,
                    seen=standing.last_due,
                    due=due,
                    missed=missed,
                    most=MAX_MISSED + 1,
                )
            )

    async def correct_clock(self, standing: Standing) -> bool:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return bool(await self._sql.correct_clock(connection, job=standing.job, seen=standing.last_due))

    async def claim(self, jobs: Collection[str]) -> JobRun | None:
        """Takes the oldest run of these jobs whose time has come. Returns None where others were quicker."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            with suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    return await self._start(
                        connection, await self._sql.claim(connection, jobs=[*jobs], server=self._server)
                    )
        return None

    async def begin(self, job: str, arguments: Mapping[str, str], asked_by: str | None) -> JobRun:
        """Begins a run at once. Raises JobWaiting where another of the job goes on."""
        given = {"job": job, "arguments": dump_json(arguments), "asked_by": asked_by, "server": self._server}
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            with suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    if run := await self._start(connection, await self._sql.begin(connection, **given)):
                        return run
        raise JobWaiting(f"A run of the job {job} is going on already.")

    async def _start(self, connection: Any, id: int | None) -> JobRun | None:
        return None if id is None else run_of(await self._sql.start(connection, id=id))

    async def going(self, job: str) -> JobRun | None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.going(connection, job=job)
        return run_of(row) if row else None

    async def end(
        self, id: int, server: int, attempts: int, end: End, error: PromisePubError | None = None
    ) -> Ended | None:
        """Ends a run of a server, and queues its next try. A run that was to be cancelled is not tried again.

        Returns None while a step of it still goes on in the database. Raises RunTaken where it is not that server's any
        more.
        """
        async with answering(self._pool, ANSWER_TIMEOUT) as connection, connection.transaction():
            row = await self._sql.hold(connection, id=id, server=server)
            if row is None:
                found = await self._sql.run(connection, id=id)
                if found and found["state"] == State.RUNNING and found["server"] == server:
                    return None
                raise RunTaken
            run = run_of(row)
            if run.cancelling and end is not End.COMPLETED:
                end = End.CANCELLED
            state, following = follow(end, run.attempt, attempts, self._waits)
            at = await self._sql.end_run(
                connection,
                id=id,
                state=state,
                error_code=error.code if error else None,
                error_message=storable(error.message)[:MAX_MESSAGE] if error else None,
            )
            if following and not await self._sql.queue_next(
                connection, id=id, reason=following.reason, wait=following.wait
            ):
                following = None
        return Ended(state, at, following)

    async def sweep(self, keep: timedelta, ours: Collection[str]) -> bool:
        """Deletes some of what is old, but none of our jobs. Returns True where there is no more of it."""
        async with answering(self._pool, SWEEP_TIMEOUT) as connection:
            swept = await self._sql.sweep(connection, keep=keep, most=SWEEP_BATCH)
            await self._sql.sweep_jobs(connection, keep=keep, ours=[*ours])
            await self._sql.sweep_cancellations(connection)
        return bool(swept < SWEEP_BATCH)
