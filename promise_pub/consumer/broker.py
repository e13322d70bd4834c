"""RabbitMQ as the consumer needs it: queues declared, counted and deleted, and one read at full speed.

Every use opens a connection of its own, so that going on after a lost one is nothing special. aiormq reads three frames
and makes a task for every delivery, which costs more than all the rest; here they are taken before it reads them (see
`amqp.frames`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiormq
import aiormq.exceptions
from aiormq.abc import ArgumentsType
from aiormq.channel import Channel

from promise_pub.amqp.frames import deliveries
from promise_pub.amqp.replies import refusal, translated
from promise_pub.delivery.broker.rabbit import connect, lost
from promise_pub.errors import BrokerError, QueueGone
from promise_pub.settings.model import RabbitSettings

ANSWER_TIMEOUT = 10.0  # seconds for a broker that is there to answer one request
PREFETCH = 3000  # messages: a batch on its way to disk, one filling up, one on the wire
# A queue outlives the loss of its consumer by a day, so that a night's outage destroys nothing, and no longer. While
# this process lives it renews the lease of its own sessions, and it deletes their queues when they end.
EXPIRES = 24 * 3600 * 1000  # milliseconds
_ARGUMENTS: ArgumentsType = {"x-expires": EXPIRES}
_CHANNEL = 1

Receive = Callable[[int, str | None, bool, bytes], None]
"""Takes one delivery: its tag, its message id, whether the broker handed it over before, its body."""


def _judge(error: BaseException | None) -> BrokerError:
    """Tells what became of a request: it asked for a queue that is not there, was refused, or its connection was lost."""
    if isinstance(error, aiormq.exceptions.ChannelNotFoundEntity):
        return QueueGone()
    return _ended_by(error)


def _ended_by(error: BaseException | None) -> BrokerError:
    return refusal(error, "The broker refused") or lost(error)


class ReadingChannel(Channel):
    """aiormq's channel, deliveries taken off its hands."""

    def __init__(self, connection: aiormq.Connection, receive: Receive, changed: Callable[[], None]) -> None:
        super().__init__(connection, _CHANNEL, publisher_confirms=False)
        self.queue_gone = False
        self._receive = receive
        self._changed = changed
        self.on_consumer_cancel_callbacks.add(self._cancelled)
        self.closing.add_done_callback(lambda _: changed())

    def take_deliveries(self, buffer: bytearray) -> int:
        """A tap."""
        found, taken = deliveries(buffer, _CHANNEL)
        for delivery in found:
            self._receive(*delivery)
        return taken

    @property
    def end(self) -> BrokerError | None:
        """The reason that nothing more comes by it, once that is so."""
        if self.queue_gone:
            return QueueGone()
        if not self.is_closed:
            return None
        return _ended_by(None if self.closing.cancelled() else self.closing.exception())

    def _cancelled(self, _: object) -> None:
        self.queue_gone = True
        self._changed()

    async def read(self, queue: str) -> None:
        with translated(_judge):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self.basic_qos(prefetch_count=PREFETCH)
                await self.basic_consume(queue, _unused)

    async def ack(self, tag: int) -> None:
        """Acks this delivery and all before it."""
        with translated(_judge):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self.basic_ack(tag, multiple=True)

    async def ready(self, queue: str) -> int:
        """How many messages the queue holds that were handed to nobody. Raises QueueGone."""
        with translated(_judge):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return (await self.queue_declare(queue, passive=True)).message_count or 0


async def _unused(_: object) -> None:
    raise AssertionError("the tap takes every delivery")


class Broker:
    """What the sessions ask of RabbitMQ. Every method raises BrokerError or one of its kinds."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        # After a lost connection the broker holds on to what it had handed over until it misses the heartbeats.
        self.slow_to_notice = 2.0 * settings.heartbeat

    async def check(self) -> None:
        async with connect(self._settings):
            return

    async def declare(self, queue: str) -> None:
        async with self._channel() as channel:
            await channel.queue_declare(queue, durable=True, arguments=_ARGUMENTS)

    async def ready(self, queue: str) -> int:
        """How many messages wait in the queue; renews its lease. Raises QueueGone."""
        async with self._channel() as channel:
            return (await channel.queue_declare(queue, passive=True)).message_count or 0

    async def delete(self, queue: str) -> None:
        """Deletes the queue, whatever it holds; not an error when it is gone."""
        async with self._channel() as channel:
            await channel.queue_delete(queue)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[aiormq.abc.AbstractChannel]:
        async with connect(self._settings) as connection:
            with translated(_judge):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    yield await connection.channel(publisher_confirms=False)

    @asynccontextmanager
    async def reading(self, queue: str, receive: Receive, changed: Callable[[], None]) -> AsyncIterator[ReadingChannel]:
        """Reads the queue while the block runs; what is not acked by then goes back into it.

        `changed` is called when the channel was lost or the queue is gone.
        """
        async with connect(self._settings) as connection:
            channel = ReadingChannel(connection, receive, changed)
            connection.channels[_CHANNEL] = channel
            with translated(_judge):
                await channel.open(timeout=ANSWER_TIMEOUT)
            connection.tap(channel.take_deliveries)
            await channel.read(queue)
            yield channel
