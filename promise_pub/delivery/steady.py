"""Publishes on as many connections as it takes: what was on its way when one was lost goes out again on the next.

A row that is published again keeps its `message_id`, so that a consumer can tell it from a new one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Self

from promise_pub.delivery.confirms import ConfirmTracker
from promise_pub.delivery.ports import OpenPublisher, Publisher, Shipment
from promise_pub.errors import BrokerError, BrokerLost, QueueGone
from promise_pub.logs import told
from promise_pub.records import Row

log = logging.getLogger(__name__)

FIRST_DELAY = 0.05  # seconds; most losses are over at once
LONGEST_DELAY = 3.0  # seconds; bounds how late it is noticed that the broker is back
PATIENCE = 120.0  # seconds; a broker's restart takes ten to sixty


class SteadyPublisher:
    """See `ports.Publisher`, whose promises it keeps across connections. Use it as an async context manager.

    The first connection is tried once: a broker that is away then fails the run at once. Later ones are tried for two
    minutes, with growing, jittered delays; then it raises BrokerLost. Raises QueueGone when the broker is back without
    the queue. `notice` is called with the reason before rows are sent again. Rows are kept until they are settled:
    no more than the window and what was handed over last.
    """

    def __init__(
        self, open_publisher: OpenPublisher, shipment: Shipment, notice: Callable[[str], None]
    ) -> None:
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
            raise BrokerLost("There is no connection to the broker.", self.tracker.confirmed)
        return self._publisher

    async def _connect(self) -> Publisher:
        self._latest = await self._stack.enter_async_context(self._open(self._shipment))
        return self._latest

    async def _go_on(self, lost: BrokerLost) -> None:
        """A new connection with everything sent again that was on its way.

        Raises QueueGone, or `lost` when patience is over; then there is no going on any more.
        """
        if self._ended:
            raise self._ended
        try:
            await self._come_back(lost)
        except BrokerError as error:
            self._ended = error
            raise

    async def _come_back(self, lost: BrokerLost) -> None:
        clock = asyncio.get_running_loop().time
        since, delay = clock(), FIRST_DELAY
        error: BrokerError = lost
        while True:
            self._publisher = None
            await self._stack.aclose()
            self.tracker.lost()
            if clock() - since > PATIENCE:
                raise lost
            log.warning("%s. Trying again in %.2g s.", error.message.rstrip("."), delay)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(2 * delay, LONGEST_DELAY)
            try:
                publisher = await self._connect()
                await self._catch_up(publisher, lost)
                self._publisher = publisher  # not before: what waits would be left out
                log.info("The broker is back", extra=told(away=round(clock() - since, 3)))
                return
            except QueueGone:
                raise
            except BrokerError as again:
                error = again

    async def _catch_up(self, publisher: Publisher, lost: BrokerLost) -> None:
        publisher.route_to(self._queue)
        await publisher.check_queue()
        waiting = set(self.tracker.waiting)
        if waiting:
            self._notice(f"{lost.message.rstrip('.')}; they had no confirm by then")
            await publisher.publish(
                [row for rows in self._kept for row in rows if row.number in waiting]
            )

    def _forget_settled(self) -> None:
        through = self.tracker.settled_through
        while self._kept and self._kept[0][-1].number <= through:
            self._kept.popleft()
