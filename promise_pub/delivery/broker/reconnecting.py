"""Publishes on as many connections as it takes: what was on its way when one was lost goes out again on the next.

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
from promise_pub.retries import Patience

FIRST_DELAY = 0.05  # seconds; most losses are over at once
LONGEST_DELAY = 3.0  # seconds; bounds how late it is noticed that the broker is back
PATIENCE = 120.0  # seconds; a broker's restart takes ten to sixty


class SteadyPublisher:
    """See `ports.Publisher`, whose promises it keeps across connections. Use it as an async context manager.

    The first connection is tried once: a broker that is away then fails the run at once. Later ones are tried for two
    minutes after a loss, with growing, jittered delays; then it raises BrokerLost. Only a row that is settled begins
    the two minutes anew: a connection that comes about and is lost again does not. Raises BrokerRefused when the broker
    refuses, and QueueGone when it is back without the queue. `notice` is called with the reason before rows are sent
    again. Rows are kept until they are settled: no more than the window and what was handed over last.
    """

    def __init__(self, open_publisher: OpenPublisher, shipment: Shipment, notice: Callable[[str], None]) -> None:
        self._open = open_publisher
        self._shipment = shipment
        self._notice = notice
        self._queue = ""
        self._kept: deque[Sequence[Row]] = deque()
        self._stack = AsyncExitStack()
        self._publisher: Publisher | None = None
        self._latest: Publisher | None = None  # also while it catches up
        self._ended: BrokerError | None = None

    async def __aenter__(self) -> Self:
        self._patience = Patience(PATIENCE, FIRST_DELAY, LONGEST_DELAY)
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
        """Of every row published so far."""
        return str(self._shipment.digest)

    @property
    def confirmed_here(self) -> int:
        """Rows of this session that the broker has confirmed."""
        return self.tracker.confirmed - self._shipment.earlier

    @property
    def connected(self) -> bool:
        return self._publisher is not None

    @property
    def blocked(self) -> bool:
        return self._latest is not None and self._latest.blocked

    def route_to(self, queue: str) -> None:
        self._queue = queue
        self._there.route_to(queue)

    async def check_queue(self) -> None:
        await self._there.check_queue()

    async def publish(self, rows: Sequence[Row]) -> None:
        self._kept.append(rows)
        rest = rows
        while rest:
            try:
                await self._there.publish(rest)
                break
            except BrokerLost as error:
                await self._go_on(error)
                rest = [row for row in rows if row.number > self.tracker.published]
        self._forget_settled()

    async def settle(self) -> None:
        while self.tracker.in_flight:
            try:
                await self._there.settle()
            except BrokerLost as error:
                await self._go_on(error)

    @property
    def _there(self) -> Publisher:
        if self._ended:
            raise self._ended
        if self._publisher is None:
            raise BrokerLost("There is no connection to the broker.")
        return self._publisher

    async def _connect(self) -> Publisher:
        self._latest = await self._stack.enter_async_context(self._open(self._shipment))
        return self._latest

    async def _go_on(self, lost: BrokerLost) -> None:
        """A new connection with everything sent again that was on its way.

        Raises QueueGone, BrokerRefused, or BrokerLost when patience is over; then there is no going on any more.
        """
        if self._ended:
            raise self._ended
        try:
            await self._come_back(lost)
        except BrokerError as error:
            self._ended = self._end(lost, error)
            raise self._ended from error

    def _end(self, lost: BrokerLost, last: BrokerError) -> BrokerError:
        """Tells of the loss with what is known by now; a refusal, and a queue that is gone, speak for themselves."""
        if isinstance(last, QueueGone | BrokerRefused):
            return last
        tracker = self.tracker
        since = "" if last is lost else f" Since then: {last.message}"
        return BrokerLost(
            f"{lost.message.rstrip('.')}: {tracker.confirmed:,} of {tracker.published:,} published rows had been "
            f"confirmed.{since}"
        )

    async def _come_back(self, lost: BrokerLost) -> None:
        error: BrokerError = lost
        while True:
            self._publisher = None
            await self._stack.aclose()
            self.tracker.lost()
            settled = self.tracker.published - self.tracker.in_flight
            await self._patience.wait(error, done=settled)
            try:
                publisher = await self._connect()
                await self._catch_up(publisher, lost)
                self._publisher = publisher  # not before: what waits would be left out
                self._patience.worked("The broker is back")
                return
            except BrokerError as again:
                error = again

    async def _catch_up(self, publisher: Publisher, lost: BrokerLost) -> None:
        publisher.route_to(self._queue)
        await publisher.check_queue()
        waiting = set(self.tracker.waiting)
        if waiting:
            self._notice(f"{lost.message.rstrip('.')}; they had no confirm by then")
            await publisher.publish([row for rows in self._kept for row in rows if row.number in waiting])

    def _forget_settled(self) -> None:
        through = self.tracker.settled_through
        while self._kept and self._kept[0][-1].number <= through:
            self._kept.popleft()
