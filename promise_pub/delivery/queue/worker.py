"""The worker: it takes runs from the queue and carries them out, one at a time."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from promise_pub.concurrency import cancel_tasks
from promise_pub.delivery.ports import RunLedger
from promise_pub.delivery.queue.recorder import RunRecorder
from promise_pub.delivery.queue.waiting import RunQueue
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.execute import RunExecutor
from promise_pub.delivery.run.lifecycle_log import log_ended
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.delivery.run.totals import RunTotals
from promise_pub.errors import Internal, PromisePubError
from promise_pub.logs import RUN
from promise_pub.records import Fault, State

log = logging.getLogger(__name__)

_INTERNAL = Fault(Internal.code, Internal.default_message())


class RunWorker:
    """Carries out the runs of a queue until it is closed. Whatever happens to a run, its end is recorded."""

    def __init__(
        self, queue: RunQueue, executor: RunExecutor, ledger: RunLedger, recorder: RunRecorder, totals: RunTotals
    ) -> None:
        self.current: ActiveRun | None = None
        self._queue = queue
        self._executor = executor
        self._ledger = ledger
        self._recorder = recorder
        self._totals = totals

    async def work(self) -> None:
        while run := await self._queue.take_next():
            self.current = run
            carrying_out = asyncio.create_task(self._carry_out(run))
            try:
                await asyncio.wait({carrying_out})
            except asyncio.CancelledError:
                await cancel_tasks(carrying_out)
                raise
            finally:
                self.current = None
                run.done.set()

    async def _carry_out(self, run: ActiveRun) -> None:
        RUN.set(run.id)
        # Not set by the caller: a task that is cancelled before its first step does nothing, and the run would not end.
        run.task = asyncio.current_task()
        try:
            if run.stop_reason:
                raise asyncio.CancelledError
            turn = self._ledger.exclusive_turn(lost=partial(run.stop, StopReason.TURN_LOST))
            async with self._recorder.record_progress(run), turn:
                await self._executor.execute(run)
        except PromisePubError as error:
            run.fail(State.FAILED, Fault(error.code, error.message))
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            stopped = run.stop_reason or task and task.cancelling()
            if stopped and isinstance(error, asyncio.CancelledError):
                run.end_stopped()
            else:  # a fault of ours, or of a library that cancels those who wait for what it closes
                log.exception("Run %s failed unexpectedly", run.id)
                run.fail(State.FAILED, _INTERNAL)
        await self._end(run)

    async def drop(self, run: ActiveRun) -> None:
        """Ends a run that is not in the queue any more, and whose turn does not come."""
        run.end_stopped()
        await self._end(run)
        run.done.set()

    async def _end(self, run: ActiveRun) -> None:
        self._totals.end(run)
        log_ended(run.report())
        await self._recorder.record_end(run)
