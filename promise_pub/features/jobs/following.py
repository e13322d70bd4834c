"""A run followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from promise_pub.errors import DatabaseError
from promise_pub.features.jobs.asking import find_successor
from promise_pub.features.jobs.ports import JobsDesk
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.retries import Backoff, Retries

POLL = Backoff(1.0, 1.0, jitter=0.0)  # seconds; a database that is away is waited for

Tell = Callable[[JobRun, datetime], None]


async def follow_run(
    desk: JobsDesk, run: JobRun, tell: Tell, complain: Callable[[str], None], backoff: Backoff = POLL
) -> JobRun:
    """Tells of a run as it goes on, and returns it once it has ended; of one that was cut off, the one that goes on for it.

    A database that is away is complained of once. Raises a DatabaseError that does not pass.
    """
    retries = Retries(backoff, lambda *_: None)
    while True:
        try:
            run = await desk.run(run.id)
            tell(run, await desk.now())
            successor = await find_successor(desk, run) if run.state is State.INTERRUPTED else None
        except DatabaseError as error:
            if error.passes and not retries.failing:
                complain(error.message)
            await retries.wait(error)
            continue
        retries.reset()
        if successor:
            run = successor
        elif run.state.has_ended:
            return run
        await asyncio.sleep(backoff.first)
