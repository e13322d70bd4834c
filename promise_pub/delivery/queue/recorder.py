"""Keeps the ledger in step with a run, while it goes and when it ends."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from promise_pub.concurrency import BackgroundTasks, background, cancel_tasks, finish_task
from promise_pub.delivery.ports import Ledger
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError, Interrupted, RunTaken
from promise_pub.records import Fault
from promise_pub.retries import Backoff

T = TypeVar("T")

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.5  # seconds between writes of a run's progress to the ledger
MAX_UNRECORDED = 100  # runs whose end is tried again: each takes some hundred KB


class Recorder:
    """Writes runs to the ledger. A ledger that is away neither ends a run nor loses what became of it."""

    def __init__(self, ledger: Ledger, last_write: Backoff) -> None:
        self._ledger = ledger
        self._last_write = last_write
        self._unrecorded: dict[str, ActiveRun] = {}
        self._failing: dict[str, str] = {}  # those of them that are tried again, and why
        self._recording = BackgroundTasks()

    def unrecorded(self, run_id: str) -> ActiveRun | None:
        """A run that has ended, as long as the ledger does not hold its end."""
        return self._unrecorded.get(run_id)

    @asynccontextmanager
    async def progress_of(self, run: ActiveRun) -> AsyncIterator[None]:
        """Writes while the block goes; ends before it does, so that no late progress overwrites how the run ended."""
        carrying = asyncio.current_task()
        progress = asyncio.ensure_future(self._record_progress(run))

        def stop(ended: asyncio.Future[None]) -> None:
            if carrying and not ended.cancelled() and isinstance(ended.exception(), RunTaken):
                run.why = Fault(Interrupted.code, "Another server on this database has taken the run.")
                carrying.cancel()

        progress.add_done_callback(stop)
        try:
            async with background(run.sampled()):
                yield
        finally:
            await cancel_tasks(progress)
            if not progress.cancelled() and (error := progress.exception()):
                log.error("The progress of run %s was not recorded", run.id, exc_info=error)

    async def _record_progress(self, run: ActiveRun) -> None:
        trouble: DatabaseError | None = None
        while True:
            try:
                await self._write(run)
                if trouble:
                    log.info("The progress of run %s is recorded again", run.id)
                trouble = None
            except DatabaseError as error:
                if not trouble or trouble.passes != error.passes:  # once an outage
                    log.warning("The progress of run %s is not recorded: %s", run.id, error.message)
                trouble = error
            run.ledger_is(trouble)
            await asyncio.sleep(PROGRESS_EVERY)

    async def end_of(self, run: ActiveRun) -> None:
        """Writes how the run ended. Returns when that is done, or when it has failed for some seconds and goes on.

        A cancellation that comes meanwhile waits for that.
        """
        told = asyncio.Event()
        self._recording.start(self._record_end(run, told))
        await finish_task(asyncio.create_task(told.wait()))

    async def _record_end(self, run: ActiveRun, told: asyncio.Event) -> None:
        self._unrecorded[run.id] = run
        try:
            await self._until_recorded(run, told)
        except RunTaken as error:
            log.error("The end of run %s is not recorded: %s", run.id, error.message)
            self._unrecorded.pop(run.id)
        except Exception:
            log.exception("The end of run %s was not recorded", run.id)
        else:
            self._unrecorded.pop(run.id)
        finally:
            self._failing.pop(run.id, None)
            told.set()

    def _failed(self, run: ActiveRun, why: str) -> None:
        """Notes that the end of this run could not be written, and gives up the oldest where those are too many."""
        if self._failing.get(run.id) != why:
            log.warning("The end of run %s is not recorded: %s", run.id, why)
        self._failing[run.id] = why
        if len(self._failing) > MAX_UNRECORDED:
            oldest = next(iter(self._failing))
            log.error("The end of run %s is given up: too many cannot be recorded", oldest)
            del self._failing[oldest]

    async def _until_recorded(self, run: ActiveRun, told: asyncio.Event) -> None:
        """Tries often for some seconds, then ever more seldom; whoever waits for the run waits for the first ones.

        It goes on where the database refuses: it may be allowed later, and this is all that is left of the run.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        for delay in replace(self._last_write, within=math.inf).delays():
            try:
                await self._write(run)
                break
            except DatabaseError as error:
                self._failed(run, error.message)
                if not error.passes or clock() - began >= self._last_write.within:
                    told.set()
                if not error.passes:
                    run.forget_unstored()  # it may be one of them that is refused: how it ended is worth more
            await asyncio.sleep(delay)
            if run.id not in self._failing:
                return  # given up
        if run.id in self._failing:
            log.info("The end of run %s is recorded", run.id)

    async def _write(self, run: ActiveRun) -> None:
        report = run.report()  # before what is awaited: every rejected row that it counts is stored before it
        if rejected := run.unstored():
            await self._ledger.reject(run.id, rejected)
            run.stored(len(rejected))
        await self._ledger.write(report)

    async def close(self) -> None:
        """Gives up what is still being written."""
        await self._recording.cancel()
