"""Runs from upload to their end: first come, first served, one at a time. What one does in its turn: delivering.py."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Self
from uuid import uuid4

from promise_pub.concurrency import BackgroundTasks
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.input.validation import require_usable_row, with_columns
from promise_pub.delivery.ports import Consumer, Ledger, OpenPublisher
from promise_pub.delivery.queue.recorder import Recorder
from promise_pub.delivery.run import log_lines
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS, Backoffs
from promise_pub.delivery.run.execute import Delivery
from promise_pub.delivery.run.totals import Tally
from promise_pub.errors import (
    Cancelled,
    DatabaseError,
    DatabaseUnavailable,
    Internal,
    Interrupted,
    NotCancellable,
    NotResumable,
    PromisePubError,
    ServerStopping,
    StoredFileError,
    TooManyWaiting,
)
from promise_pub.logs import RUN
from promise_pub.parameters import Parameters
from promise_pub.records import Fault, RunReport, State, StoredFile

log = logging.getLogger(__name__)

SWEEP_EVERY = 3600.0  # seconds between sweeps of the uploads folder
STOP_TIMEOUT = 9.0  # seconds for a run to end in an orderly way when the server stops
CANCEL_AGAIN = 3.0  # seconds after which a run that still goes is cancelled again
END_RECORDED = 5.0  # seconds in which the end of a run is usually in the ledger

_UNFORESEEN = "Run %s failed for a reason nobody foresaw"
_INTERNAL = Fault(Internal.code, Internal.default_message())
_CANCELLED = Fault(Cancelled.code, Cancelled.default_message())


class Runs:
    """Every run of this process. Use it as an async context manager: the block's end stops what is going."""

    def __init__(
        self,
        ledger: Ledger,
        consumer: Consumer,
        open_publisher: OpenPublisher,
        uploads: Uploads,
        max_waiting: int,
        backoffs: Backoffs = BACKOFFS,
    ) -> None:
        self._ledger = ledger
        self._recorder = Recorder(ledger, backoffs.last_write)
        self._uploads = uploads
        self._max_waiting = max_waiting
        self.tally = Tally()
        self._delivery = Delivery(ledger, consumer, open_publisher, uploads, self.tally, backoffs)
        self._waiting: deque[ActiveRun] = deque()
        self._current: ActiveRun | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._opening: dict[str, ActiveRun] = {}  # runs admitted that do not wait yet
        self._arrived = asyncio.Event()
        self.stopping = asyncio.Event()
        self._tasks = BackgroundTasks()
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = self._tasks.start(self._work())
        self._tasks.start(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._tasks.cancel()
        await self._recorder.close()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @property
    def current(self) -> ActiveRun | None:
        """The run whose turn it is."""
        return self._current

    @property
    def uploads(self) -> Uploads:
        """Where the files of runs are kept."""
        return self._uploads

    def admit(self, *, waits: bool = True) -> str:
        """The id for a new run. Raises ServerStopping, and TooManyWaiting if it `waits` for its turn, before a file is
        taken in for nothing."""
        if self.stopping.is_set():
            raise ServerStopping
        inside = len(self._waiting) + len(self._opening) + (self._current is not None)
        if waits and inside > self._max_waiting:  # one of them goes, or will at once
            raise TooManyWaiting(f"{len(self._waiting)} runs are already waiting: try again later.")
        return str(uuid4())

    async def submit(self, run_id: str, file: StoredFile, parameters: Parameters) -> ActiveRun:
        """Queues a run of a file that is whole on disk; its `done` is set at its end.

        Raises NotCsv, BadHeader, NoUsableRow, NotClearable, ServerBusy or DatabaseError; then the file is deleted and there is
        no run.
        """
        try:
            arrived = self._uploads.arrived(run_id)
            parameters = await with_columns(arrived, parameters)
            await require_usable_row(arrived, parameters)
            if parameters.clear:
                await self._ledger.require_clearable()
            run = ActiveRun(run_id, file, parameters)
            await self._open(run, self._ledger.open)
        except BaseException:
            await asyncio.shield(self._uploads.discard(run_id))
            raise
        try:
            await self._uploads.keep(run_id)
        except PromisePubError as error:
            await self._drop(run, State.FAILED, Fault(error.code, error.message))
            raise
        else:
            await self._queue(run)
        finally:
            self._opening.pop(run_id)
        return run

    async def resume(self, run_id: str) -> ActiveRun:
        """Queues a run that did not complete, to go on from its checkpoint.

        Raises RunNotFound, NotResumable, ServerBusy or DatabaseError.
        """
        await self._recorded(run_id)
        report = await self._ledger.run(run_id)
        if not report.resumable:
            raise NotResumable(f"The run is {report.state.value}: there is nothing to resume.")
        try:
            await self._uploads.verify(run_id, report.file)
        except StoredFileError as error:
            raise NotResumable(f"The run cannot be resumed: {error.message}") from error
        run = ActiveRun.again(report)
        if self.find(run_id):  # somebody else was quicker
            raise NotResumable("The run is already running.")
        await self._open(run, self._ledger.reopen)
        try:
            await self._queue(run)
        finally:
            self._opening.pop(run_id)
        return run

    async def _recorded(self, run_id: str) -> None:
        """The end of a run may be a moment ahead of the ledger. Raises NotResumable for one that goes."""
        run = self.find(run_id)
        if run and run.report().state.final:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_RECORDED):
                    await run.done.wait()
        if run := self.find(run_id):
            ended = run.report().state.final
            raise NotResumable("The run's end is not recorded yet." if ended else "The run is running.")

    async def cancel(self, run_id: str) -> ActiveRun:
        """Ends a run, within two seconds once it goes. Raises NotCancellable when it has ended, RunNotFound."""
        run = self.find(run_id)
        if run is None:
            report = await self._ledger.run(run_id)
            going = "" if report.state.final else " at another server"
            raise NotCancellable(f"The run is {report.state.value}{going}.")
        if run is self._current and self._carrying and not run.report().state.final:
            if not run.hurried:  # asked twice, it ends no sooner, and less orderly
                run.hurried = True
                self._hurry(run)
        elif run in self._waiting:
            self._waiting.remove(run)
            await self._drop(run, State.CANCELLED, _CANCELLED)
        elif run.id in self._opening and not run.report().state.final:
            run.hurried = True  # it ends instead of waiting
        else:
            raise NotCancellable(f"The run is {run.report().state.value}.")
        return run

    def _hurry(self, run: ActiveRun) -> None:
        """Cancels it, and again where a library lost the cancellation."""
        if run is self._current and self._carrying and not run.report().state.final:
            self._carrying.cancel()
            asyncio.get_running_loop().call_later(CANCEL_AGAIN, self._hurry, run)

    async def _open(self, run: ActiveRun, record: Callable[[RunReport], Any]) -> None:
        """Records it, and counts it in: whoever asks for it finds it, until it waits. Then it is the caller's to count out."""
        self.admit()
        self._opening[run.id] = run  # others are admitted while the ledger is asked
        try:
            await record(run.report())
        except BaseException as error:
            self._opening.pop(run.id)
            if isinstance(error, DatabaseUnavailable):
                # It may be recorded all the same, as waiting, and nobody would have it.
                run.fail(State.FAILED, Fault(error.code, error.message))
                self._tasks.start(self._recorder.end_of(run))
            raise

    async def _queue(self, run: ActiveRun) -> None:
        if self.stopping.is_set():
            await self._drop(run, State.INTERRUPTED, _stopped("before its turn came"))
        elif run.hurried:
            await self._drop(run, State.CANCELLED, _CANCELLED)
        else:
            self._waiting.append(run)
            self._arrived.set()
            log_lines.queued(run.report())

    def find(self, run_id: str) -> ActiveRun | None:
        """The run, while it lives in this process."""
        return next((run for run in self._going() if run.id == run_id), self._recorder.unrecorded(run_id))

    def _going(self) -> list[ActiveRun]:
        """Those that wait, the one whose turn it is, and those that do not wait yet."""
        current = [self._current] if self._current else []
        return [*self._waiting, *current, *self._opening.values()]

    def report(self, run: ActiveRun) -> RunReport:
        """The run as it is now, with its position while it waits."""
        with suppress(ValueError):
            return run.report(self._waiting.index(run) + 1)
        return run.report()

    async def stop(self) -> None:
        """Ends the run that is going in an orderly way, and those that wait; takes no more."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        waiting = [*self._waiting]
        self._waiting.clear()
        if self._worker:
            self._worker.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await asyncio.gather(
                    *(self._drop(run, State.INTERRUPTED, _stopped("before its turn came")) for run in waiting),
                    *([asyncio.wait({self._worker})] if self._worker else []),
                )
        except TimeoutError:
            log.error("A run did not end within %g s and was left as it is", STOP_TIMEOUT)

    async def _work(self) -> None:
        while not self.stopping.is_set():  # a cancellation may get lost in a library
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            self._current = run = self._waiting.popleft()
            self._carrying = self._tasks.start(self._carry(run))
            try:
                await asyncio.wait({self._carrying})
            except asyncio.CancelledError:
                self._carrying.cancel()
                await asyncio.wait({self._carrying})
                raise
            finally:
                self._current = self._carrying = None
                run.done.set()

    async def _carry(self, run: ActiveRun) -> None:
        """One run from its turn to its end; whatever happens is recorded."""
        RUN.set(run.id)
        try:
            async with self._recorder.progress_of(run), self._ledger.turn(self._stop_carrying):
                await self._delivery.deliver(run)
        except PromisePubError as error:
            await self._end(run, State.FAILED, Fault(error.code, error.message))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if run.hurried:
                await self._end(run, State.CANCELLED, _CANCELLED)
            elif run.why or self.stopping.is_set() or task and task.cancelling():
                await self._end(run, State.INTERRUPTED, run.why or _stopped("while the run was going"))
            else:  # a library that cancels who waits for it; they lose count of cancellations, too
                log.exception(_UNFORESEEN, run.id)
                await self._end(run, State.FAILED, _INTERNAL)
        except Exception:
            log.exception(_UNFORESEEN, run.id)
            await self._end(run, State.FAILED, _INTERNAL)
        else:
            await self._ended(run)

    def _stop_carrying(self) -> None:
        """Nobody else may be kept from the consumer any more."""
        if self._carrying and self._current:
            self._current.why = Fault(
                Interrupted.code, "Another server talks to the consumer: the database lost our claim."
            )
            self._carrying.cancel()

    async def _drop(self, run: ActiveRun, state: State, fault: Fault) -> None:
        """The end of a run whose turn never came."""
        await self._end(run, state, fault)
        run.done.set()

    async def _end(self, run: ActiveRun, state: State, fault: Fault) -> None:
        run.fail(state, fault)
        await self._ended(run)

    async def _ended(self, run: ActiveRun) -> None:
        self.tally.end(run)
        log_lines.ended(run.report())
        await self._recorder.end_of(run)

    async def _sweep(self) -> None:
        while True:
            try:
                gone = await self._uploads.sweep(self._known, self._needed)
                if gone:
                    log.info("Deleted %d files from the uploads folder", gone)
            except DatabaseError as error:
                log.warning("The uploads folder is not swept now: %s", error.message)
            await asyncio.sleep(SWEEP_EVERY)

    async def _known(self, run_ids: Collection[str]) -> set[str]:
        return await self._ledger.known([*run_ids])

    async def _needed(self, run_ids: Collection[str]) -> set[str]:
        """Those that are going, or can be resumed."""
        needed = await self._ledger.resumable([*run_ids])
        return needed | {run.id for run in self._going()}


def _stopped(when: str) -> Fault:
    return Fault(Interrupted.code, f"The server was stopped {when}.")
