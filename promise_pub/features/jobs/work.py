"""One run of a job: its steps, each one transaction that nobody else's can overtake."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, answering
from promise_pub.errors import Cancelled, Internal, Interrupted, PromisePubError, RunTaken
from promise_pub.features.jobs.records import JobRun
from promise_pub.features.jobs.states import End
from promise_pub.features.jobs.store import job_queries
from promise_pub.jobs import Job
from promise_pub.json_text import dump_json
from promise_pub.logs import fields
from promise_pub.text import storable, storable_json

log = logging.getLogger(__name__)

MAX_MESSAGE = 500  # characters of what a step tells


@dataclass(frozen=True, slots=True)
class StepLimits:
    """The seconds that a step may take, may wait for a lock, and may keep its locks while its server says nothing."""

    whole: float = 600.0
    lock: float = 10.0
    silence: float = 60.0


LIMITS = StepLimits()


class RunWork:
    """A run as its job sees it."""

    def __init__(self, pool: asyncpg.Pool, run: JobRun, limits: StepLimits) -> None:
        assert run.started_at
        self.arguments = run.arguments
        self.now: datetime = run.started_at
        self._pool = pool
        self._run = run
        self._limits = limits
        self._sql = job_queries()
        self._is_stopping = False

    def stop(self) -> None:
        """Lets no further step begin."""
        self._is_stopping = True

    async def cookie(self, name: str) -> Any:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            value = await self._sql.cookie(connection, job=self._run.job, name=name)
        return None if value is None else json.loads(value)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[RunStep]:
        """Raises Cancelled, RunTaken or Interrupted where the run is to go on no longer.

        The row of the run stays locked until the step ends. A server that is thought dead while it goes on can therefore
        not be followed before the step is committed or rolled back, and when it comes back later it finds the run ended.
        """
        if self._is_stopping:
            raise Interrupted("The server stopped.")
        async with (
            answering(self._pool, self._limits.whole) as connection,
            connection.transaction(isolation="read_committed"),
        ):
            await self._sql.bound_waits(
                connection, lock=round(self._limits.lock * 1000), idle=round(self._limits.silence * 1000)
            )
            is_cancelled = await self._sql.begin_step(connection, id=self._run.id, server=self._run.server)
            if is_cancelled is None:
                raise RunTaken
            if is_cancelled:
                raise Cancelled
            yield RunStep(connection, self._run)


class RunStep:
    """A transaction of a run."""

    def __init__(self, connection: Any, run: JobRun) -> None:
        self.connection = connection
        self._run = run
        self._sql = job_queries()

    async def progress(self, done: int, total: int | None, message: str) -> None:
        told = storable(message)[:MAX_MESSAGE]
        await self._sql.progress(self.connection, id=self._run.id, done=done, total=total, message=told)

    async def keep(self, name: str, value: Any) -> None:
        kept = storable_json(dump_json(value))
        await self._sql.keep(self.connection, job=self._run.job, name=name, value=kept)


async def perform(job: Job, work: RunWork) -> tuple[End, PromisePubError | None]:
    """Returns how a run ended. Raises RunTaken, and its own cancellation."""
    try:
        await job.run(work)
    except RunTaken:
        raise
    except Cancelled:
        return End.CANCELLED, None
    except Interrupted as error:
        return End.STOPPED, error
    except PromisePubError as error:
        return (End.FAILED if error.passes else End.REFUSED), error
    except Exception as error:
        log.exception("A job failed after an unexpected error", extra=fields(job=job.name))
        return End.FAILED, Internal(f"The job failed unexpectedly ({type(error).__name__}); the server's log says how.")
    return End.COMPLETED, None
