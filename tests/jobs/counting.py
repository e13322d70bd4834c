"""A job that counts days into a table, and a server of it as a process that can be killed anywhere.

Every day is written with the cookie that tells the next one, so each is committed once. A sequence, which no rollback takes
back, counts how often days were begun.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

from promise_pub.db import open_pool
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.features.jobs.keeper import Pace, open_keeper
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.states import Waits
from promise_pub.jobs import Job, Work
from promise_pub.retries import Backoff
from promise_pub.schedules import Schedule
from promise_pub.settings.model import DatabaseSettings

TABLES = """
CREATE TABLE counted (day INTEGER PRIMARY KEY, times INTEGER NOT NULL DEFAULT 1, server TEXT);
CREATE SEQUENCE begun;
"""
POINTS = ("begun", "worked", "kept", "committed")
# What takes seconds, or minutes, is done at once.
QUICK = Pace(
    look=0.02,
    declare=0.5,
    waits=Waits((0.001, 0.002), 0.1),
    backoff=Backoff(0.05, 0.2),
)

Hook = Callable[[str, int], Awaitable[None]]


async def pass_by(_point: str, _day: int) -> None: ...


class Gate:
    """A hook that holds a run at a point of a day until it is opened."""

    def __init__(self, point: str, day: int) -> None:
        self._where = (point, day)
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, point: str, day: int) -> None:
        if (point, day) == self._where:
            self.reached.set()
            await self.opened.wait()


def counting_job(days: int, hook: Hook = pass_by, schedule: str | None = None, attempts: int = 5) -> Job:
    """Returns a job that counts days from where it was left. `hook` is called at each point of a day."""

    async def count(work: Work) -> None:
        day = await work.cookie("next") or 0
        while day < days:
            async with work.step() as step:
                await step.connection.execute("SELECT nextval('begun')")
                await hook("begun", day)
                await step.connection.execute(
                    "INSERT INTO counted (day, server) VALUES ($1, $2)"
                    " ON CONFLICT (day) DO UPDATE SET times = counted.times + 1",
                    day,
                    str(os.getpid()),
                )
                await hook("worked", day)
                await step.keep("next", day + 1)
                await step.progress(day + 1, days, f"day {day}")
                await hook("kept", day)
            await hook("committed", day)
            day += 1

    due = Schedule(schedule, UTC) if schedule else None
    return Job(name="counting", title="Counts days.", run=count, schedule=due, attempts=attempts)


async def counts(connection: Any) -> dict[int, int]:
    """Returns how often each day was counted."""
    return {row["day"]: row["times"] for row in await connection.fetch("SELECT day, times FROM counted ORDER BY day")}


async def begun(connection: Any) -> int:
    return int(await connection.fetchval("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM begun"))


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


async def serve(
    database: DatabaseSettings, days: int, point: str, at: int, what: str, rest: float, silence: float
) -> None:
    """Runs the job as a server does, and has it killed or stopped at a point of a day, or rest there."""

    was_frozen = False

    async def hook(now_at: str, day: int) -> None:
        nonlocal was_frozen
        if (now_at, day) == (point, at):
            say(f"at {point} of {day}")
            if what == "KILL":
                os.kill(os.getpid(), signal.SIGKILL)
            elif what == "STOP" and not was_frozen:
                # It may be given the next try as well.
                was_frozen = True
                os.kill(os.getpid(), signal.SIGSTOP)
            elif what == "HANG":
                await asyncio.Event().wait()
            elif what == "REST":
                await asyncio.sleep(1)
        await asyncio.sleep(rest)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pace = replace(QUICK, limits=replace(QUICK.limits, silence=silence))
    # Its tries never end, so that any number of kills is followed by another one.
    job = counting_job(days, hook, "*/10 * * * *", attempts=10_000)
    async with (
        open_pool(database, max_size=4) as pool,
        ServerLocks(pool) as servers,
        open_keeper([job], pool, servers, JobsSettings(), pace),
    ):
        say("serving")
        await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    given = json.loads(sys.argv[1])
    asyncio.run(serve(DatabaseSettings(**given.pop("database")), **given))
