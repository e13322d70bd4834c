"""Writes the progress and the end of runs to the ledger."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from promise_pub.concurrency import BackgroundTasks, background, cancel_tasks, finish_task
from promise_pub.delivery.ports import RunLedger
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.errors import DatabaseError, RunDeleted, RunTaken
from promise_pub.retries import Backoff

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.5  # seconds between writes of a run's progress to the ledger
MAX_UNRECORDED = 100  # runs whose end is tried again: each takes some hundred KB


class RunRecorder:
    """The writer of runs to the ledger. An outage of the ledger neither ends a run nor loses its end."""

    def __init__(self, ledger: RunLedger, last_write: Backoff) -> None:
        self._ledger = ledger
        self._last_write = last_write
        self._unrecorded: dict[str, ActiveRun] = {}
        self._failing: dict[str, str] = {}  # reasons why an end could not be written yet
        self._recording = BackgroundTasks()

    def find_unrecorded(self, run_id: str) -> ActiveRun | None:
        """Returns a run that has ended while its end is not in the ledger."""
        return self._unrecorded.get(run_id)

    @asynccontextmanager
    async def record_progress(self, run: ActiveRun) -> AsyncIterator[None]:
        """Writes progress while the block runs, and stops before it exits, so that a late write cannot overwrite the end."""
        progress = asyncio.ensure_future(self._write_repeatedly(run))
        try:
            async with background(run.keep_timeline()):
                yield
        finally:
            await cancel_tasks(progress)
            if not progress.cancelled() and (error := progress.exception()):
                log.error("The progress of run %s was not recorded", run.id, exc_info=error)

    async def _write_repeatedly(self, run: ActiveRun) -> None:
        trouble: DatabaseError | None = None
        while True:
            try:
                await self._write(run)
                if trouble:
                    log.info("The progress of run %s is recorded again", run.id)
                trouble = None
            except RunTaken as error:
                run.stop(StopReason.RUN_DELETED if isinstance(error, RunDeleted) else StopReason.RUN_TAKEN)
                raise
            except DatabaseError as error:
                if not trouble or trouble.passes != error.passes:  # once per outage
                    log.warning("The progress of run %s is not recorded: %s", run.id, error.message)
                trouble = error
            run.ledger_gate.report(trouble)
            await asyncio.sleep(PROGRESS_EVERY)

    async def record_end(self, run: ActiveRun) -> None:
        """Writes how the run ended. Returns when that is done, or has failed for some seconds and goes on in the background.

        A caller that is cancelled meanwhile waits for that, too.
        """
        released = asyncio.Event()
        self._recording.start(self._write_end(run, released))
        await finish_task(asyncio.create_task(released.wait()))

    async def _write_end(self, run: ActiveRun, released: asyncio.Event) -> None:
        self._unrecorded[run.id] = run
        try:
            await self._write_until_recorded(run, released)
        except RunTaken as error:
            log.error("The end of run %s is not recorded: %s", run.id, error.message)
            self._unrecorded.pop(run.id)
        except Exception:
            log.exception("The end of run %s was not recorded", run.id)
        else:
            self._unrecorded.pop(run.id)
        finally:
            self._failing.pop(run.id, None)
            released.set()

    def _note_failure(self, run: ActiveRun, why: str) -> None:
        """Notes that the end of a run could not be written. Gives up the oldest run where there are too many."""
        if self._failing.get(run.id) != why:
            log.warning("The end of run %s is not recorded: %s", run.id, why)
        self._failing[run.id] = why
        if len(self._failing) > MAX_UNRECORDED:
            oldest = next(iter(self._failing))
            log.error("The end of run %s is given up: too many cannot be recorded", oldest)
            del self._failing[oldest]

    async def _write_until_recorded(self, run: ActiveRun, released: asyncio.Event) -> None:
        """Tries often for some seconds, then ever more seldom. `released` is set after the first tries.

        These are two at least: the first may have lasted long on a connection that was lost. A refusal is tried again,
        too: the write may be allowed later, and the run is kept nowhere else.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        for tries, delay in enumerate(replace(self._last_write, within=math.inf).delays()):
            try:
                await self._write(run)
                break
            except DatabaseError as error:
                self._note_failure(run, error.message)
                if not error.passes or tries and clock() - began >= self._last_write.within:
                    released.set()
                if not error.passes:
                    run.rejects.discard()  # one of them may be what is refused, and the end matters more
            await asyncio.sleep(delay)
            if run.id not in self._failing:
                return  # given up
        if run.id in self._failing:
            log.info("The end of run %s is recorded", run.id)

    async def _write(self, run: ActiveRun) -> None:
        # Made first, so that every rejected row that it counts is stored before it. If this server is killed, the run's
        # rows are listed from what was written last.
        report = run.report(with_unconfirmed=True)
        if rejected := run.rejects.pending:
            await self._ledger.add_rejects(run.id, rejected)
            run.rejects.mark_stored(len(rejected))
        news = run.news(report)
        await self._ledger.write_run(report, news)
        run.telling.confirm(news)

    async def close(self) -> None:
        """Gives up the writes in progress."""
        await self._recording.cancel()
