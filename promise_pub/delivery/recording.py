"""Keeps the ledger in step with a run, while it goes and when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from promise_pub.delivery.ports import Ledger
from promise_pub.delivery.progress import ActiveRun
from promise_pub.errors import DatabaseError

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.5  # seconds between writes of a run's progress to the ledger
LAST_WRITE_DELAYS = (0.2, 0.5, 1.0, 2.0)  # seconds between tries to record how a run ended


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
        progress = asyncio.ensure_future(self._record_progress(run))
        try:
            yield
        finally:
            progress.cancel()
            await asyncio.wait({progress})
            if not progress.cancelled() and (error := progress.exception()):
                log.error("The progress of run %s was not recorded", run.id, exc_info=error)

    async def _record_progress(self, run: ActiveRun) -> None:
        away = False
        while True:
            try:
                await self._write(run)
                away = False
            except DatabaseError as error:
                if not away:  # once an outage
                    log.warning("The progress of run %s is not recorded: %s", run.id, error.message)
                away = True
            await asyncio.sleep(PROGRESS_EVERY)

    async def end_of(self, run: ActiveRun) -> None:
        """Writes how the run ended and sets its `done`. A cancellation that comes meanwhile waits for that."""
        recording = asyncio.create_task(self._record_end(run))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        try:
            await asyncio.shield(recording)
        except asyncio.CancelledError:
            await asyncio.wait({recording})
            raise

    async def _record_end(self, run: ActiveRun) -> None:
        self._unrecorded[run.id] = run
        try:
            if await self._insist(run):
                del self._unrecorded[run.id]
        except Exception:
            log.exception("The end of run %s was not recorded", run.id)
        finally:
            run.done.set()

    async def _insist(self, run: ActiveRun) -> bool:
        """Tries for a few seconds."""
        for delay in (*LAST_WRITE_DELAYS, None):
            try:
                await self._write(run)
                return True
            except DatabaseError as error:
                if delay is None:
                    log.error("The end of run %s cannot be recorded: %s", run.id, error.message)
                    return False
                await asyncio.sleep(delay)
        raise AssertionError("the last try returns")

    async def _write(self, run: ActiveRun) -> None:
        if rejected := run.unstored():
            await self._ledger.reject(run.id, rejected)
            run.stored(len(rejected))
        await self._ledger.write(run.report())

    async def close(self) -> None:
        """Gives up what is still being written."""
        recording = [*self._recording]
        for task in recording:
            task.cancel()
        await asyncio.gather(*recording, return_exceptions=True)
