"""Keeps the ledger in step with a run, while it goes and when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from promise_pub.delivery.ports import Ledger
from promise_pub.delivery.progress import ActiveRun
from promise_pub.errors import DatabaseError, DatabaseUnavailable, RunTaken
from promise_pub.records import Fault

T = TypeVar("T")

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.5  # seconds between writes of a run's progress to the ledger
LAST_WRITE_DELAYS = (0.2, 0.5, 1.0, 2.0)  # seconds between tries to record how a run ended
AGAIN_EVERY = 2.0  # seconds between further tries, until the server stops
PATIENCE = 60.0  # seconds in which a step that needs the database is tried
PATIENT_EVERY = 0.5  # seconds between its tries


async def patiently(step: Callable[[], Awaitable[T]]) -> T:
    """Does a step that needs the database, and again for a minute while it is away. Raises DatabaseError."""
    clock = asyncio.get_running_loop().time
    until = clock() + PATIENCE
    while True:
        try:
            return await step()
        except DatabaseUnavailable:
            if clock() > until:
                raise
            await asyncio.sleep(PATIENT_EVERY)


class Recorder:
    """Writes runs to the ledger. A ledger that is away neither ends a run nor loses what became of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._unrecorded: dict[str, ActiveRun] = {}
        self._recording: set[asyncio.Task[None]] = set()

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
                run.why = Fault("interrupted", "Another server on this database has taken the run.")
                carrying.cancel()

        progress.add_done_callback(stop)
        sampling = asyncio.ensure_future(run.sampled())
        try:
            yield
        finally:
            progress.cancel()
            sampling.cancel()
            await asyncio.wait({progress, sampling})
            if not progress.cancelled() and (error := progress.exception()):
                log.error("The progress of run %s was not recorded", run.id, exc_info=error)

    async def _record_progress(self, run: ActiveRun) -> None:
        away = False
        while True:
            try:
                await self._write(run)
                if away:
                    log.info("The progress of run %s is recorded again", run.id)
                away = False
            except DatabaseError as error:
                if not away:  # once an outage
                    log.warning("The progress of run %s is not recorded: %s", run.id, error.message)
                away = True
            run.ledger_is(away=away)
            await asyncio.sleep(PROGRESS_EVERY)

    async def end_of(self, run: ActiveRun) -> None:
        """Writes how the run ended. Returns when that is done, or when it has failed for some seconds and goes on.

        A cancellation that comes meanwhile waits for that.
        """
        told = asyncio.Event()
        recording = asyncio.create_task(self._record_end(run, told))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        waiting = asyncio.ensure_future(told.wait())
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait({waiting})
            raise

    async def _record_end(self, run: ActiveRun, told: asyncio.Event) -> None:
        self._unrecorded[run.id] = run
        try:
            async for written in self._tries(run):
                if written:
                    break
                told.set()  # whoever waits for the run need not wait for the ledger
        except RunTaken as error:
            log.error("The end of run %s is not recorded: %s", run.id, error.message)
            self._unrecorded.pop(run.id)
        except Exception:
            log.exception("The end of run %s was not recorded", run.id)
        else:
            self._unrecorded.pop(run.id)
        finally:
            told.set()

    async def _tries(self, run: ActiveRun) -> AsyncIterator[bool]:
        """Tries to write how the run ended; after the first seconds each failure is told, and tried again later."""
        for delay in LAST_WRITE_DELAYS:
            if await self._try(run):
                yield True
            await asyncio.sleep(delay)
        log.error("The end of run %s cannot be recorded now", run.id)
        while True:
            yield await self._try(run)
            await asyncio.sleep(AGAIN_EVERY)

    async def _try(self, run: ActiveRun) -> bool:
        try:
            await self._write(run)
        except DatabaseError as error:
            log.info("The end of run %s is not recorded: %s", run.id, error.message)
            return False
        return True

    async def _write(self, run: ActiveRun) -> None:
        report = (
            run.report()
        )  # before what is awaited: every rejected row that it counts is stored before it
        if rejected := run.unstored():
            await self._ledger.reject(run.id, rejected)
            run.stored(len(rejected))
        await self._ledger.write(report)

    async def close(self) -> None:
        """Gives up what is still being written."""
        recording = [*self._recording]
        for task in recording:
            task.cancel()
        await asyncio.gather(*recording, return_exceptions=True)
