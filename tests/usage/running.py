"""Runs of a job, on a real database: each step a transaction of its own, cookies in their table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from promise_pub.jobs import Job

_KEEP = """
    INSERT INTO job_cookies (job, name, value) VALUES ($1, $2, $3)
    ON CONFLICT (job, name) DO UPDATE SET value = excluded.value
"""


class CutOff(Exception):
    """A server was killed, in a step."""


@dataclass
class RunningStep:
    connection: Any
    job: str
    told: tuple[int, int | None, str] | None = None

    async def progress(self, done: int, total: int | None, message: str) -> None:
        self.told = done, total, message

    async def keep(self, name: str, value: Any) -> None:
        await self.connection.execute(_KEEP, self.job, name, json.dumps(value))


@dataclass
class RunningWork:
    """A run. It is cut off in the step of this number, before its commit; `told` is what was told by those committed."""

    pool: asyncpg.Pool
    job: str
    arguments: Mapping[str, str]
    now: datetime
    cut_off_in: int | None = None
    told: list[tuple[int, int | None, str] | None] = field(default_factory=list)

    async def cookie(self, name: str) -> Any:
        found = await self.pool.fetchval("SELECT value FROM job_cookies WHERE job = $1 AND name = $2", self.job, name)
        return found and json.loads(found)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[RunningStep]:
        async with self.pool.acquire() as connection, connection.transaction():
            step = RunningStep(connection, self.job)
            yield step
            if len(self.told) + 1 == self.cut_off_in:
                raise CutOff
        self.told.append(step.told)


async def run_job(
    pool: asyncpg.Pool, job: Job, now: datetime, cut_off_in: int | None = None, **arguments: str
) -> RunningWork:
    """Runs a job, with arguments as people type them."""
    known = {argument.name: argument for argument in job.arguments}
    read = {name: known[name].read(text) for name, text in arguments.items()}
    work = RunningWork(pool, job.name, read, now, cut_off_in)
    await job.run(work)
    return work
