"""The runs of this process, from the upload to the end: first come, first served, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self
from uuid import uuid4

from promise_pub.concurrency import BackgroundTasks
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.input.validation import require_usable_row, with_columns
from promise_pub.delivery.ports import Consumer, OpenPublisher, RunLedger
from promise_pub.delivery.queue.janitor import UploadJanitor
from promise_pub.delivery.queue.recorder import RunRecorder
from promise_pub.delivery.queue.waiting import RunQueue
from promise_pub.delivery.queue.worker import RunWorker
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS, Backoffs
from promise_pub.delivery.run.execute import RunExecutor
from promise_pub.delivery.run.judging import RunJudge
from promise_pub.delivery.run.lifecycle_log import log_queued
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.delivery.run.totals import RunTotals
from promise_pub.delivery.telling import News
from promise_pub.errors import (
    DatabaseUnavailable,
    NotCancellable,
    NotResumable,
    PromisePubError,
    ServerStopping,
    StoredFileError,
)
from promise_pub.parameters import Parameters
from promise_pub.records import Fault, RunReport, State, StoredFile

log = logging.getLogger(__name__)

STOP_TIMEOUT = 9.0  # seconds for a run to end in an orderly way when the server stops
CANCEL_AGAIN = 3.0  # seconds after which a cancelled run that has not ended is cancelled again
END_RECORDED = 5.0  # seconds in which the end of a run is usually in the ledger


class Runs:
    """Every run of this process. Use it as an async context manager: the end of the block stops the runs."""

    def __init__(
        self,
        ledger: RunLedger,
        consumer: Consumer,
        open_publisher: OpenPublisher,
        uploads: Uploads,
        max_waiting: int,
        backoffs: Backoffs = BACKOFFS,
    ) -> None:
        self.uploads = uploads
        self.janitor = UploadJanitor(uploads, ledger, self._active)
        self.totals = RunTotals()
        self.stopping = asyncio.Event()
        self._ledger = ledger
        self._queue = RunQueue(max_waiting)
        self._recorder = RunRecorder(ledger, backoffs.last_write)
        judge = RunJudge(ledger, uploads, backoffs.database)
        executor = RunExecutor(ledger, consumer, open_publisher, uploads, self.totals, judge, backoffs)
        self._worker = RunWorker(self._queue, executor, ledger, self._recorder, self.totals)
        self._working: asyncio.Task[None] | None = None
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._working = self._tasks.start(self._worker.work())
        self._tasks.start(self.janitor.sweep_at_start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._tasks.cancel()
        await self._recorder.close()

    @property
    def waiting(self) -> int:
        """The number of runs that wait for their turn."""
        return self._queue.waiting

    @property
    def current(self) -> ActiveRun | None:
        """The run whose turn it is."""
        return self._worker.current

    def admit(self, *, waits: bool = True) -> str:
        """Returns the id for a new run, before a file is received for nothing.

        Raises ServerStopping, and TooManyWaiting for a run that `waits` for its turn.
        """
        if self.stopping.is_set():
            raise ServerStopping
        if waits:
            self._queue.require_room(running=self.current is not None)
        return str(uuid4())

    async def submit(
        self, run_id: str, file: StoredFile, parameters: Parameters, started_by: str | None = None
    ) -> ActiveRun:
        """Queues a run of a file that is whole on disk, at somebody's request. Its `done` is set at its end.

        Raises NotCsv, BadHeader, NoUsableRow, NotClearable, ServerBusy or DatabaseError; then the file is deleted and
        there is no run.
        """
        try:
            arrived = self.uploads.arrived(run_id)
            parameters = await with_columns(arrived, parameters)
            await require_usable_row(arrived, parameters)
            if parameters.clear:
                await self._ledger.require_clearable()
            run = ActiveRun(run_id, file, parameters, started_by)
            await self._reserve(run, self._ledger.open_run)
        except BaseException:
            await asyncio.shield(self.uploads.discard(run_id))
            raise
        try:
            await self.uploads.keep(run_id)
            await self._enqueue(run)
        except PromisePubError as error:
            run.fail(State.FAILED, Fault(error.code, error.message))
            await self._worker.drop(run)
            raise
        finally:
            self._queue.release(run)
        return run

    async def resume(self, run_id: str) -> ActiveRun:
        """Queues a run that ended early, to continue from its checkpoint.

        Raises RunNotFound, NotResumable, ServerBusy or DatabaseError.
        """
        await self._wait_until_recorded(run_id)
        report = await self._ledger.get_run(run_id)
        if not report.resumable:
            raise NotResumable(f"The run is {report.state.value}: there is nothing to resume.")
        try:
            await self.uploads.verify(run_id, report.file)
        except StoredFileError as error:
            raise NotResumable(f"The run cannot be resumed: {error.message}") from error
        run = ActiveRun.resume(report)
        if self.find(run_id):  # another request was quicker
            raise NotResumable("The run is already in progress.")
        await self._reserve(run, self._ledger.reopen_run)
        try:
            await self._enqueue(run)
        finally:
            self._queue.release(run)
        return run

    async def _wait_until_recorded(self, run_id: str) -> None:
        """Waits for the ledger, which may learn of the end of a run a moment later. Raises NotResumable for a run that
        has not ended."""
        run = self.find(run_id)
        if run and run.clock.state.final:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_RECORDED):
                    await run.done.wait()
        if run := self.find(run_id):
            ended = run.clock.state.final
            raise NotResumable("The run's end is not recorded yet." if ended else "The run is in progress.")

    async def cancel(self, run_id: str) -> ActiveRun:
        """Ends a run, within two seconds once it has its turn. Raises NotCancellable when it has ended, RunNotFound."""
        run = self.find(run_id)
        if run is None:
            report = await self._ledger.get_run(run_id)
            where = "" if report.state.final else " at another server"
            raise NotCancellable(f"The run is {report.state.value}{where}.")
        if run.clock.state.final:
            raise NotCancellable(f"The run is {run.clock.state.value}.")
        if self._queue.remove(run):
            run.stop(StopReason.USER)
            # Its end is recorded in any case: while the database hangs, that takes longer than an answer may.
            await asyncio.wait({self._tasks.start(self._worker.drop(run))}, timeout=END_RECORDED)
        elif run.stop_reason is not StopReason.USER:  # asked twice, it ends no sooner, and less orderly
            self._cancel_until_ended(run)
        return run

    def _cancel_until_ended(self, run: ActiveRun) -> None:
        """Cancels a run, and again later where a library lost the cancellation. One that is being recorded ends after it."""
        if not run.clock.state.final:
            run.stop(StopReason.USER)
            if run is self.current:
                asyncio.get_running_loop().call_later(CANCEL_AGAIN, self._cancel_until_ended, run)

    async def _reserve(self, run: ActiveRun, record: Callable[[RunReport, News], Awaitable[None]]) -> None:
        """Records a run and reserves its place: it can be found from now on. The caller releases it."""
        self.admit()
        self._queue.reserve(run)
        try:
            report = run.report()
            news = run.news(report)
            await record(report, news)
            run.telling.confirm(news)
        except BaseException as error:
            self._queue.release(run)
            if isinstance(error, DatabaseUnavailable):
                # The run may be recorded all the same, as waiting, and no server would carry it out.
                run.fail(State.FAILED, Fault(error.code, error.message))
                self._tasks.start(self._recorder.record_end(run))
            raise

    async def _enqueue(self, run: ActiveRun) -> None:
        if self.stopping.is_set():
            run.stop(StopReason.SHUTDOWN)
        if run.stop_reason:
            await self._worker.drop(run)
        else:
            self._queue.append(run)
            log_queued(run.report())

    def find(self, run_id: str) -> ActiveRun | None:
        """Returns a run that has not ended, or whose end is not recorded yet."""
        return next((run for run in self._active() if run.id == run_id), self._recorder.find_unrecorded(run_id))

    def _active(self) -> list[ActiveRun]:
        return [*self._queue, *([self.current] if self.current else [])]

    def report(self, run: ActiveRun) -> RunReport:
        """Returns the run as it is now, with its position while it waits."""
        return run.report(self._queue.position(run))

    async def stop(self) -> None:
        """Ends the current run in an orderly way, and those that wait; admits no more."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        waiting = self._queue.close()
        for run in [*waiting, *([self.current] if self.current else [])]:
            run.stop(StopReason.SHUTDOWN)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await asyncio.gather(
                    *(self._worker.drop(run) for run in waiting),
                    *([asyncio.wait({self._working})] if self._working else []),
                )
        except TimeoutError:
            log.error("A run did not end within %g s and was left as it is", STOP_TIMEOUT)
