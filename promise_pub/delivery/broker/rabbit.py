"""Publishes rows with confirms, many messages to a write.

aiormq's own `basic_publish` takes a lock, awaits a drain and makes a future for every message, which is most of the
time a message costs. This publisher writes ready-made frames of many messages at once, and a ConfirmTracker gets the
confirms, most of them before aiormq reads them (see `amqp.frames`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiormq.exceptions

from promise_pub.amqp.aiormq_internals import FrameChannel, TappedConnection
from promise_pub.amqp.connection import open_channel, request
from promise_pub.amqp.frames import Confirm, parse_confirms
from promise_pub.amqp.replies import end_of_connection
from promise_pub.concurrency import run_until
from promise_pub.delivery.broker.messages import SLICE, MessageEncoder
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.ports import Shipment
from promise_pub.errors import BrokerError, QueueGone
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings


class _TrackedChannel(FrameChannel):
    """A channel whose confirms and returns go to a tracker."""

    def __init__(self, connection: TappedConnection, tracker: ConfirmTracker) -> None:
        super().__init__(connection, publisher_confirms=True)
        self.tracker = tracker
        self.settled = asyncio.Event()
        self._returned = False

    def take_frames(self, buffer: bytearray) -> int:
        """Takes confirms. After the first return aiormq reads all frames, so that a return is known before its ack."""
        if self._returned:
            return 0
        found, taken, self._returned = parse_confirms(buffer)
        if found:
            self.settle(found)
        return taken

    def settle(self, confirms: Sequence[Confirm]) -> None:
        now = self.loop.time()
        for confirm in confirms:
            settle = self.tracker.nack if confirm.nack else self.tracker.ack
            settle(confirm.tag, multiple=confirm.multiple, at=now)
        self.settled.set()

    def note_return(self, message_id: str) -> None:
        _, _, number = message_id.rpartition(":")
        if number.isdigit():
            self.tracker.came_back(int(number))


class RabbitPublisher:
    """Publishes rows of one run to one queue, on a connection of its own. See `ports.Publisher`."""

    def __init__(self, channel: _TrackedChannel, window: int, shipment: Shipment) -> None:
        self.tracker = channel.tracker
        self._channel = channel
        self._window = window
        self._lost = channel.closing
        self._queue = ""
        self._encoder = MessageEncoder(
            shipment.run_id, shipment.started_at, channel.max_content_size, shipment.digest, shipment.columns
        )

    @property
    def blocked(self) -> bool:
        return self._channel.blocked

    def route_to(self, queue: str) -> None:
        self._queue = queue
        self._encoder.route_to(queue)

    async def check_queue(self) -> None:
        # On the channel of the rows, because a user may have no more than one. The broker closes it if there is no such
        # queue, and then it is of no use any more.
        async with request(self._judge):
            try:
                await self._channel.queue_declare(self._queue, passive=True)
            except aiormq.exceptions.ChannelNotFoundEntity as error:
                raise QueueGone(f"The queue {self._queue} is gone.") from error

    async def publish(self, rows: Sequence[Row]) -> None:
        size = min(SLICE, self._window)
        for start in range(0, len(rows), size):
            for stretch in _stretches(rows[start : start + size]):
                await self._write(stretch)

    async def settle(self) -> None:
        await self._until_unsettled(0)

    async def _write(self, rows: Sequence[Row]) -> None:
        await self._until_unsettled(self._window - len(rows))
        frames = self._encoder.encode(rows)
        # Counted before they are written, because a row that may have left is in flight, not unpublished.
        self.tracker.sent(rows[0].number, len(rows), self._channel.loop.time())
        await self._unless_lost(self._channel.write(frames))

    async def _until_unsettled(self, most: int) -> None:
        while self.tracker.unsettled > most:
            self._channel.settled.clear()
            await self._unless_lost(self._channel.settled.wait())

    async def _unless_lost(self, waiting: Coroutine[Any, Any, Any]) -> None:
        task = await run_until(self._lost, waiting)
        if self._lost.done() or task.cancelled() or task.exception():
            raise self._judge(None if task.cancelled() else task.exception())

    def _judge(self, error: BaseException | None) -> BrokerError:
        """Returns why the channel ended, which it knows better than the task that waited on it."""
        if self._lost.done() and not self._lost.cancelled():
            error = self._lost.exception() or error
        return end_of_connection(error)


def _stretches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yields rows in pieces with consecutive numbers: one piece, but for rows that are published again."""
    start = 0
    while start < len(rows):
        first = rows[start].number - start
        end = len(rows)
        if rows[-1].number - first != end - 1:
            end = next(at for at in range(start, end + 1) if at == end or rows[at].number - first != at)
        yield rows[start:end]
        start = end


@asynccontextmanager
async def open_publisher(settings: RabbitSettings, shipment: Shipment) -> AsyncIterator[RabbitPublisher]:
    """Opens a publisher for one run, closed with the block. Raises BrokerUnreachable or BrokerRefused."""
    async with open_channel(settings, partial(_TrackedChannel, tracker=shipment.tracker)) as channel:
        yield RabbitPublisher(channel, settings.window, shipment)
