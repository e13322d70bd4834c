"""Jobs and their runs in PostgreSQL, as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.db_checks import Need
from promise_pub.errors import RequestError, ServerBusy, TooManyWaiting
from promise_pub.features.jobs.errors import JobEnded, JobNotFound, JobRunNotFound, JobWaiting
from promise_pub.features.jobs.records import JobRun, KnownJob, Reason, State
from promise_pub.json_text import dump_json
from promise_pub.text import storable

NEEDS_TO_SHOW = (
    Need("job_schedules", "SELECT UPDATE"),
    Need("job_runs", "SELECT INSERT UPDATE"),
    Need("job_cookies", "SELECT"),
    Need("job_cancellations", "SELECT INSERT UPDATE"),
)
NEEDS = (
    Need("job_schedules", "SELECT INSERT UPDATE DELETE"),
    Need("job_runs", "SELECT INSERT UPDATE DELETE"),
    Need("job_cookies", "SELECT INSERT UPDATE DELETE"),
    Need("job_cancellations", "SELECT INSERT UPDATE DELETE"),
)
MAX_WAITING = 100  # runs of a job, with different arguments
MAX_ID = 2**63 - 1

_RUN = """
id, job, reason, due, missed, arguments::text AS arguments, asked_by, state, attempt, after, not_before, server,
created_at, started_at, progressed_at, ended_at, done, total, message, error_code, error_message,
EXISTS (SELECT FROM job_cancellations WHERE run = job_runs.id) AS cancelling
"""
# A time to come that is farther away than any wait is one that a wrong clock has set.
_READY = "(not_before <= now() OR not_before > now() + interval '2 hours')"


@cache
def job_queries() -> Any:
    return queries(Path(__file__).parent / "jobs.sql", run=_RUN, ready=_READY)


class StoredJobs:
    """The stored jobs and runs. Every method raises a kind of DatabaseError; DatabaseUnavailable without an answer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = job_queries()

    async def known(self) -> Sequence[KnownJob]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return [KnownJob(**row) async for row in self._sql.known(connection)]

    async def runs(self, job: str | None, limit: int, before: int | None = None) -> Sequence[JobRun]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return [run_of(row) async for row in self._sql.runs(connection, job=job, before=before, most=limit)]

    async def newest_runs(self) -> Sequence[JobRun]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return [run_of(row) async for row in self._sql.newest_runs(connection)]

    async def run(self, id: int) -> JobRun:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return await self._find(connection, id)

    async def _find(self, connection: Any, id: int) -> JobRun:
        row = await self._sql.run(connection, id=id) if 0 < id <= MAX_ID else None
        if row is None:
            raise JobRunNotFound(f"There is no run {id} of a job.")
        return run_of(row)

    async def cookies(self, job: str) -> Mapping[str, Any]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            found = self._sql.cookies(connection, job=storable(job))
            return {row["name"]: json.loads(row["value"]) async for row in found}

    async def ask(self, job: str, arguments: Mapping[str, str], asked_by: str | None) -> JobRun:
        """Lets the next try of an equal run go on at once, where one waits for its time. Raises TooManyWaiting besides, where
        100 runs of a job wait."""
        job, given = storable(job), dump_json(arguments)
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            id = await self._sql.ask(connection, job=job, arguments=given, asked_by=asked_by, most=MAX_WAITING)
            if id is None:
                id = await self._sql.hurry(connection, job=job, arguments=given)
            if id is None:
                raise await self._refusal(connection, job, given)
            return await self._find(connection, id)

    async def _refusal(self, connection: Any, job: str, given: str) -> RequestError | ServerBusy:
        if job not in {row["name"] async for row in self._sql.known(connection)}:
            return JobNotFound(f"There is no job {job[:50]!r}.")
        if waiting := await self._sql.equal_waiting(connection, job=job, arguments=given):
            return JobWaiting(f"The same run of the job {job} is waiting already: run {waiting}.")
        return TooManyWaiting()

    async def cancel(self, id: int) -> JobRun:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            run = await self._find(connection, id)
            if run.state.has_ended or not await self._sql.cancel(connection, id=id):
                raise JobEnded(f"Run {id} of the job {run.job} has ended already.")
            return await self._find(connection, id)

    async def pause(self, job: str, paused: bool) -> KnownJob:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.pause(connection, job=storable(job), paused=paused)
        if row is None:
            raise JobNotFound(f"There is no job {job[:50]!r}.")
        return KnownJob(**row)

    async def now(self) -> datetime:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            now: datetime = await self._sql.now(connection)
        return now


def run_of(row: Mapping[str, Any]) -> JobRun:
    told = {
        "arguments": json.loads(row["arguments"]),
        "reason": Reason(row["reason"]),
        "state": State(row["state"]),
    }
    return JobRun(**{**row, **told})
