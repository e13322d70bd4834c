"""Several servers with jobs on a database of their own, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest

from promise_pub import db
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.features.jobs.keeper import JobsKeeper, Pace, open_keeper
from promise_pub.features.jobs.records import JobRun
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.jobs import Job
from promise_pub.settings.model import DatabaseSettings
from tests.dead_servers import cut_off
from tests.jobs.counting import QUICK, TABLES
from tests.web_parts import until


class JobServer:
    """A server's pool, locks and keeper of jobs."""

    def __init__(
        self,
        database: DatabaseSettings,
        pool: asyncpg.Pool,
        locks: ServerLocks,
        keeper: JobsKeeper,
        stack: AsyncExitStack,
    ) -> None:
        self._database = database
        self.pool = pool
        self.locks = locks
        self.keeper = keeper
        self.stop = stack.aclose

    async def die(self) -> None:
        await cut_off(self._database, self.pool, self.locks)


ENABLED = JobsSettings()
Start = Callable[..., Awaitable[JobServer]]


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=4) as pool:
        await pool.execute(TABLES)
        yield pool


@pytest.fixture
def desk(pool: asyncpg.Pool) -> StoredJobs:
    return StoredJobs(pool)


@pytest.fixture
async def start(database: DatabaseSettings, pool: asyncpg.Pool) -> AsyncIterator[Start]:
    async with AsyncExitStack() as servers:

        async def start(*jobs: Job, pace: Pace = QUICK, settings: JobsSettings = ENABLED) -> JobServer:
            stack = await servers.enter_async_context(AsyncExitStack())
            pool = await stack.enter_async_context(db.open_pool(database, max_size=6))
            locks = await stack.enter_async_context(ServerLocks(pool))
            keeper = await stack.enter_async_context(open_keeper(jobs, pool, locks, settings, pace))
            return JobServer(database, pool, locks, keeper, stack)

        yield start


async def known(desk: StoredJobs, name: str) -> None:
    """Waits until a server has declared this job."""

    async def is_known() -> bool:
        return name in [job.name for job in await desk.known()]

    await until(is_known)


async def ended(desk: StoredJobs, id: int) -> JobRun:
    """Waits for the end of a run."""

    async def has_ended() -> JobRun | None:
        run = await desk.run(id)
        return run if run.state.has_ended else None

    found = await until(has_ended)
    assert isinstance(found, JobRun)
    return found


async def all_ended(desk: StoredJobs, job: str, count: int) -> list[JobRun]:
    """Waits until a job has so many runs, and none that waits or goes on; returns them, the oldest first."""

    async def have_ended() -> list[JobRun] | None:
        runs = await desk.runs(job, 500)
        return [*reversed(runs)] if len(runs) >= count and all(run.state.has_ended for run in runs) else None

    found = await until(have_ended)
    assert isinstance(found, list)
    return found
