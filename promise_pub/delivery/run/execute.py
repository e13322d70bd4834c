"""One run whose turn has come, in as many sessions as it needs, up to its verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import FilePosition, read_batches
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import Consumer, OpenPublisher, RunLedger
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import Backoffs
from promise_pub.delivery.run.judging import RunJudge
from promise_pub.delivery.run.lifecycle_log import log_started
from promise_pub.delivery.run.protocol import abandon_session, run_session
from promise_pub.delivery.run.totals import RunTotals
from promise_pub.delivery.telling import tell_cleared
from promise_pub.errors import (
    ConsumerComplaint,
    ConsumerError,
    ConsumerTimeout,
    ConsumerUnreachable,
    DatabaseError,
    SessionLost,
)
from promise_pub.records import SessionView
from promise_pub.retries import retry

T = TypeVar("T")

MAX_SESSIONS_A_TURN = 5  # a queue that disappears more often is not worth another session


@dataclass(frozen=True, slots=True)
class RunExecutor:
    """Executes runs with the same ledger, consumer, broker and files."""

    ledger: RunLedger
    consumer: Consumer
    open_publisher: OpenPublisher
    uploads: Uploads
    totals: RunTotals
    judge: RunJudge
    backoffs: Backoffs

    async def execute(self, run: ActiveRun) -> None:
        """Takes a run to its verdict. Raises PromisePubError when it fails, after asking the consumer to remove the
        session."""
        run.clock.start()
        run.telling.note_turn()
        self.totals.begin(run)
        log_started(run.report())
        session = await self._find_old_session(run)
        for left in reversed(range(MAX_SESSIONS_A_TURN)):
            await self._prepare_employees(run)
            try:
                final = await self._run_session(run, session)
                break
            except SessionLost as lost:
                self._leave_session(run, lost.message)
                session = None
                if not left:
                    raise
        await self.judge.judge(run, final)

    async def _find_old_session(self, run: ActiveRun) -> SessionView | None:
        """Returns the session of a resumed run, if the consumer still knows it."""
        if run.session is None:
            return None
        try:
            session = await self.consumer.get_session(run.session.uuid)
            run.sessions.forget_left_behind(session)
            return session
        except (ConsumerUnreachable, ConsumerTimeout):
            raise  # the session may still be there
        except ConsumerComplaint as error:
            self._leave_session(run, f"The session had ended ({error.message})")
        except ConsumerError as error:
            await abandon_session(run, self.consumer, run.session)  # it may be there all the same
            self._leave_session(run, f"The session could not be read ({error.message})")
        return None

    def _leave_session(self, run: ActiveRun, reason: str) -> None:
        self.totals.update()
        run.leave_session(reason)
        self.totals.update()  # the run's counts have started over

    async def _retry(self, step: Callable[[], Awaitable[T]]) -> T:
        return await retry(step, self.backoffs.database, DatabaseError)

    async def _prepare_employees(self, run: ActiveRun) -> None:
        """Clears the employees table if that was asked for, and notes what it holds before the session's first row."""
        if run.resume_state.employees is not None:
            return
        if run.parameters.clear and not run.resume_state.cleared:
            await self._retry(lambda: self.ledger.clear_employees(partial(tell_cleared, run.report())))
        highest = await self._retry(self.ledger.highest_employee_id)
        run.note_employees(await self._retry(self.ledger.count_employees), highest)

    async def _run_session(self, run: ActiveRun, session: SessionView | None) -> SessionView:
        checkpoint = run.resume_state.checkpoint
        start = FilePosition(checkpoint.offset, checkpoint.line, checkpoint.read - checkpoint.rejected + 1)
        publisher = ReconnectingPublisher(self.open_publisher, run.shipment(), run.note_resend, self.backoffs.broker)
        path, dialect = self.uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(read_batches(path, dialect, start=start)) as batches:
            return await run_session(run, self.consumer, publisher, batches, session)
