"""One run whose turn it is: in as many sessions as it takes, up to its verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.proof import needs_repeats
from promise_pub.delivery.evidence.verdict import judge
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.reader import FilePosition, read_batches
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import Consumer, Ledger, OpenPublisher
from promise_pub.delivery.run import log_lines
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import Backoffs
from promise_pub.delivery.run.protocol import abandon_session, carry_out
from promise_pub.delivery.run.totals import Tally
from promise_pub.errors import (
    ConsumerComplaint,
    ConsumerError,
    ConsumerTimeout,
    ConsumerUnreachable,
    DatabaseError,
    SessionLost,
)
from promise_pub.records import Repeats, SessionView
from promise_pub.retries import retry

T = TypeVar("T")

MOST_SESSIONS = 5  # sessions that one turn of a run may use up: a queue that keeps going is not worth more


class Delivery:
    """What runs are delivered with."""

    def __init__(
        self,
        ledger: Ledger,
        consumer: Consumer,
        open_publisher: OpenPublisher,
        uploads: Uploads,
        tally: Tally,
        backoffs: Backoffs,
    ) -> None:
        self._ledger = ledger
        self._consumer = consumer
        self._open_publisher = open_publisher
        self._uploads = uploads
        self._tally = tally
        self._backoffs = backoffs

    async def deliver(self, run: ActiveRun) -> None:
        """Raises a kind of PromisePubError when it fails; then the consumer was asked to remove the session."""
        run.begin()
        self._tally.begin(run)
        log_lines.started(run.report())
        session = await self._old_session(run)
        for left in reversed(range(MOST_SESSIONS)):
            await self._prepare(run)
            try:
                final = await self._talk(run, session)
                break
            except SessionLost as lost:
                self._next_session(run, lost.message)
                session = None
                if not left:
                    raise
        await self._judge(run, final)

    async def _old_session(self, run: ActiveRun) -> SessionView | None:
        """The session of a run that was begun before, if the consumer still knows it."""
        if run.session is None:
            return None
        try:
            session = await self._consumer.get_session(run.session.uuid)
            run.goes_on_in(session)
            return session
        except (ConsumerUnreachable, ConsumerTimeout):
            raise  # it may still have it
        except ConsumerComplaint as error:
            self._next_session(run, f"The session had ended ({error.message})")
        except ConsumerError as error:
            await abandon_session(self._consumer, run.session, 0, run)  # it may live all the same
            self._next_session(run, f"The session could not be looked at ({error.message})")
        return None

    def _next_session(self, run: ActiveRun, reason: str) -> None:
        self._tally.look()
        run.next_session(reason)
        self._tally.look()  # its counts have started over

    async def _retry(self, step: Callable[[], Awaitable[T]]) -> T:
        return await retry(step, self._backoffs.database, DatabaseError)

    async def _prepare(self, run: ActiveRun) -> None:
        """What the employees table holds before the session's first row."""
        if run.going.employees is not None:
            return
        if run.parameters.clear and not run.going.cleared:
            await self._retry(self._ledger.clear_employees)
        highest = await self._retry(self._ledger.highest_employee)
        run.prepared(await self._retry(self._ledger.count_employees), highest)

    async def _talk(self, run: ActiveRun, session: SessionView | None) -> SessionView:
        checkpoint = run.going.checkpoint
        start = FilePosition(checkpoint.offset, checkpoint.line, checkpoint.read - checkpoint.rejected + 1)
        publisher = ReconnectingPublisher(
            self._open_publisher, run.shipment(), run.again_because, self._backoffs.broker
        )
        path, dialect = self._uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(read_batches(path, dialect, start=start)) as batches:
            return await carry_out(run.parameters, self._consumer, publisher, batches, run, session)

    async def _judge(self, run: ActiveRun, session: SessionView) -> None:
        employees = await self._retry(self._ledger.count_employees)
        grown, proof = employees - (run.going.employees or 0), run.proof()
        repeats = None
        if needs_repeats(run.counts(), session, grown, proof):
            repeats = await self._retry(partial(self._count_repeats, run))
        judgement = judge(run.counts(), *run.lost_rows(), session, repeats, grown, proof)
        run.complete(judgement, employees)

    async def _count_repeats(self, run: ActiveRun) -> Repeats:
        path, dialect = self._uploads.path(run.id), Dialect.of(run.parameters)
        async with aclosing(read_batches(path, dialect)) as batches:
            return await self._ledger.count_repeats(
                batches, run.going.highest_id, run.parameters.columns, run.going.after
            )
