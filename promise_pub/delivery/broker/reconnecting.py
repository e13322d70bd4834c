"""Publishes over several connections: rows in flight when one is lost are published again on the next.

A row that is published again keeps its `message_id`, so that a consumer can tell it from a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self

from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.ports import OpenPublisher, Publisher, Shipment
from promise_pub.errors import BrokerError, BrokerLost, BrokerRefused, QueueGone
from promise_pub.records import Row
from promise_pub.retries import Backoff, Retries


class ReconnectingPublisher:
    """A publisher that keeps the promises of `ports.Publisher` across connections. Use it as an async context manager.

    The first connection is tried once: a broker that is away then fails the run at once. Later ones are tried for as
    long as `backoff` allows after a loss; then BrokerLost is raised. Only a settled row begins that time anew: a new
    connection that is lost again does not. Raises BrokerRefused when the broker refuses, and QueueGone when it is back
    without the queue. `on_resend` gets the reason before rows are published again. Rows are kept until they are
    settled: no more than the window and the last call's.
    """

    def __init__(
        self,
        open_publisher: OpenPublisher,
        shipment: Shipment,
        on_resend: Callable[[str], None],
        backoff: Backoff,
    ) -> None:
        self._open = open_publisher
        self._retries = Retries(backoff)
        self._shipment = shipment
        self._on_resend = on_resend
        self._queue = ""
        self._kept: deque[Sequence[Row]] = deque()
        self._stack = AsyncExitStack()
        self._publisher: Publisher | None = None
        # The publisher also while it resends rows.
        self._newest: Publisher | None = None
        self._ended: BrokerError | None = None

    async def __aenter__(self) -> Self:
        self._publisher = await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._publisher = None
        await self._stack.aclose()

    @property
    def tracker(self) -> ConfirmTracker:
        return self._shipment.tracker

    @property
    def digest(self) -> str:
        """The digest of every row published so far."""
        return str(self._shipment.digest)

    @property
    def confirmed_here(self) -> int:
        """The number of this session's rows that the broker has confirmed."""
        return self.tracker.confirmed - self._shipment.earlier

    @property
    def connected(self) -> bool:
        return self._publisher is not None

    @property
    def blocked(self) -> bool:
        return self._newest is not None and self._newest.blocked

    def route_to(self, queue: str) -> None:
        self._queue = queue
        self._current.route_to(queue)

    async def check_queue(self) -> None:
        await self._current.check_queue()

    async def publish(self, rows: Sequence[Row]) -> None:
        self._kept.append(rows)
        rest = rows
        while rest:
            try:
                await self._current.publish(rest)
                break
            except BrokerLost as error:
                await self._recover(error)
                rest = [row for row in rows if row.number > self.tracker.published]
        through = self.tracker.settled_through
        while self._kept and self._kept[0][-1].number <= through:
            self._kept.popleft()

    async def settle(self) -> None:
        while self.tracker.in_flight:
            try:
                await self._current.settle()
            except BrokerLost as error:
                await self._recover(error)

    @property
    def _current(self) -> Publisher:
        if self._ended:
            raise self._ended
        if self._publisher is None:
            raise BrokerLost("There is no connection to the broker.")
        return self._publisher

    async def _connect(self) -> Publisher:
        self._newest = await self._stack.enter_async_context(self._open(self._shipment))
        return self._newest

    async def _recover(self, lost: BrokerLost) -> None:
        """Connects anew and publishes the rows again that were in flight.

        Raises QueueGone, BrokerRefused, or BrokerLost when the time is over; every later call raises it again.
        """
        if self._ended:
            raise self._ended
        try:
            await self._reconnect(lost)
        except BrokerError as error:
            self._ended = self._end(lost, error)
            raise self._ended from error

    def _end(self, lost: BrokerLost, last: BrokerError) -> BrokerError:
        """Returns the loss with the counts known by now; a refusal or a missing queue needs no more words."""
        if isinstance(last, QueueGone | BrokerRefused):
            return last
        tracker = self.tracker
        since = "" if last is lost else f" Since then: {last.message}"
        return BrokerLost(
            f"{lost.message.rstrip('.')}: {tracker.confirmed:,} of {tracker.published:,} published rows had been "
            f"confirmed.{since}"
        )

    async def _reconnect(self, lost: BrokerLost) -> None:
        error: BrokerError = lost
        while True:
            self._publisher = None
            await self._stack.aclose()
            self.tracker.lost()
            settled = self.tracker.published - self.tracker.in_flight
            await self._retries.wait(error, done=settled)
            try:
                publisher = await self._connect()
                await self._resend(publisher, lost)
                # Not before: if this was cancelled, the rows still to be published again would be left out.
                self._publisher = publisher
                self._retries.log_success("The broker is back")
                return
            except BrokerError as again:
                error = again

    async def _resend(self, publisher: Publisher, lost: BrokerLost) -> None:
        publisher.route_to(self._queue)
        await publisher.check_queue()
        waiting = set(self.tracker.waiting)
        if waiting:
            self._on_resend(f"{lost.message.rstrip('.')}; they had no confirm by then")
            await publisher.publish([row for rows in self._kept for row in rows if row.number in waiting])
