"""Runs from upload to verdict: first come, first served, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import Any, Self
from uuid import UUID, uuid4

from promise_pub.delivery.ports import Consumer, Ledger, OpenPublisher
from promise_pub.delivery.progress import ActiveRun
from promise_pub.delivery.protocol import carry_out
from promise_pub.delivery.reader import read_batches
from promise_pub.delivery.recording import Recorder
from promise_pub.delivery.uploads import Uploads
from promise_pub.delivery.verdict import judge, needs_repeats
from promise_pub.errors import (
    NoUsableRow,
    PromisePubError,
    ServerStopping,
    TooManyWaiting,
)
from promise_pub.records import (
    Fault,
    Parameters,
    Rejected,
    Repeats,
    RunReport,
    SessionView,
    State,
    StoredFile,
)

log = logging.getLogger(__name__)

SWEEP_EVERY = 3600.0  # seconds between sweeps of the uploads folder
STOP_TIMEOUT = 9.0  # seconds for a run to end in an orderly way when the server stops
REJECTS_SHOWN = 20  # rejected rows told when a file holds nothing else

_UNFORESEEN = "Run %s failed for a reason nobody foresaw"
_INTERNAL = Fault("internal", "The server failed; its log says how.")


class Runs:
    """Every run of this process. Use it as an async context manager: the block's end stops what is going."""

    def __init__(
        self,
        ledger: Ledger,
        consumer: Consumer,
        open_publisher: OpenPublisher,
        uploads: Uploads,
        max_waiting: int,
    ) -> None:
        self._ledger = ledger
        self._recorder = Recorder(ledger)
        self._consumer = consumer
        self._open_publisher = open_publisher
        self._uploads = uploads
        self._max_waiting = max_waiting
        self._waiting: deque[ActiveRun] = deque()
        self._current: ActiveRun | None = None
        self._opening = 0  # runs admitted that do not wait yet
        self._arrived = asyncio.Event()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = self._task(self._work())
        self._task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._recorder.close()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def uploads(self) -> Uploads:
        """Where the files of runs are kept."""
        return self._uploads

    def admit(self) -> str:
        """The id for a new run. Raises ServerStopping or TooManyWaiting, before a file is taken in for nothing."""
        if self._stopping:
            raise ServerStopping
        inside = len(self._waiting) + self._opening + (self._current is not None)
        if inside > self._max_waiting:  # one of them goes, or will at once
            raise TooManyWaiting(f"{len(self._waiting)} runs are waiting already: try again later.")
        return str(uuid4())

    async def submit(self, run_id: str, file: StoredFile, parameters: Parameters) -> ActiveRun:
        """Queues a run of a file that is whole on disk; its `done` is set at its end.

        Raises NoUsableRow, ServerBusy or DatabaseError; then the file is deleted and there is no run.
        """
        try:
            await self._require_usable_row(run_id)
            run = ActiveRun(run_id, file, parameters)
            await self._open(run)
        except BaseException:
            await asyncio.shield(self._uploads.discard(run_id))
            raise
        if self._stopping:
            await self._end(run, State.INTERRUPTED, _stopped("before its turn came"))
        else:
            self._waiting.append(run)
            self._arrived.set()
        return run

    async def _open(self, run: ActiveRun) -> None:
        self.admit()
        self._opening += 1  # others are admitted while the ledger is asked
        try:
            await self._ledger.open(run.report())
        finally:
            self._opening -= 1

    async def _require_usable_row(self, run_id: str) -> None:
        rejected: list[Rejected] = []
        async with aclosing(read_batches(self._uploads.path(run_id))) as batches:
            async for batch in batches:
                if batch.rows:
                    return
                rejected.extend(batch.rejected[: REJECTS_SHOWN - len(rejected)])
        raise NoUsableRow(None if rejected else "The file is empty.", rejected)

    def find(self, run_id: str) -> ActiveRun | None:
        """The run, while it lives in this process."""
        going = [*self._waiting, *([self._current] if self._current else [])]
        return next((run for run in going if run.id == run_id), self._recorder.unrecorded(run_id))

    def report(self, run: ActiveRun) -> RunReport:
        """The run as it is now, with its position while it waits."""
        with suppress(ValueError):
            return run.report(self._waiting.index(run) + 1)
        return run.report()

    async def stop(self) -> None:
        """Ends the run that is going in an orderly way, and those that wait; takes no more."""
        if self._stopping:
            return
        self._stopping = True
        waiting = [*self._waiting]
        self._waiting.clear()
        if self._worker:
            self._worker.cancel()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await asyncio.gather(
                    *(
                        self._end(run, State.INTERRUPTED, _stopped("before its turn came"))
                        for run in waiting
                    ),
                    *([asyncio.wait({self._worker})] if self._worker else []),
                )
        except TimeoutError:
            log.error("A run did not end within %g s and was left as it is", STOP_TIMEOUT)

    async def _work(self) -> None:
        while not self._stopping:  # a cancellation may get lost in a library
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            self._current = self._waiting.popleft()
            try:
                await self._carry(self._current)
            finally:
                self._current = None

    async def _carry(self, run: ActiveRun) -> None:
        """One run from its turn to its end; whatever happens is recorded."""
        try:
            async with self._recorder.progress_of(run):
                await self._deliver(run)
        except PromisePubError as error:
            await self._end(run, State.FAILED, Fault(error.code, error.message))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not (task and task.cancelling()):  # but a library that cancels who waits for it
                log.exception(_UNFORESEEN, run.id)
                await self._end(run, State.FAILED, _INTERNAL)
                return
            await self._end(run, State.INTERRUPTED, _stopped("while the run was going"))
            raise
        except Exception:
            log.exception(_UNFORESEEN, run.id)
            await self._end(run, State.FAILED, _INTERNAL)
        else:
            await self._recorder.end_of(run)

    async def _deliver(self, run: ActiveRun) -> None:
        started_at = run.begin()
        if run.parameters.clear:
            await self._ledger.clear_employees()
        highest_before = await self._ledger.highest_employee()
        count_before = await self._ledger.count_employees()
        publisher = self._open_publisher(UUID(run.id), started_at)
        async with aclosing(read_batches(self._uploads.path(run.id))) as batches:
            session = await carry_out(run.parameters, self._consumer, publisher, batches, run)
        db_count = await self._ledger.count_employees()
        repeats = await self._repeats(run, session, highest_before)
        grown = db_count - count_before
        run.complete(judge(run.counts(), *run.lost_rows(), session, repeats, grown), db_count)

    async def _repeats(
        self, run: ActiveRun, session: SessionView, highest_before: int
    ) -> Repeats | None:
        if not needs_repeats(run.counts(), session):
            return None
        async with aclosing(read_batches(self._uploads.path(run.id))) as batches:
            return await self._ledger.count_repeats(batches, highest_before)

    async def _end(self, run: ActiveRun, state: State, fault: Fault) -> None:
        run.fail(state, fault)
        await self._recorder.end_of(run)

    async def _sweep(self) -> None:
        while True:
            in_use = {
                run.id for run in [*self._waiting, *([self._current] if self._current else [])]
            }
            gone = await asyncio.to_thread(self._uploads.sweep, in_use)
            if gone:
                log.info("Deleted %d files from the uploads folder", gone)
            await asyncio.sleep(SWEEP_EVERY)


def _stopped(when: str) -> Fault:
    return Fault("interrupted", f"The server was stopped {when}.")
