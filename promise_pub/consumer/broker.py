"""The queues of sessions on RabbitMQ: declared, counted, read and deleted, each time on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiormq.abc import AbstractChannel, ArgumentsType

from promise_pub.amqp.connection import connect, probe, request
from promise_pub.amqp.reading import ReadingChannel, Receive, read_queue, tap_deliveries
from promise_pub.settings.model import RabbitSettings

# A queue outlives the loss of its consumer by a day, so that a night's outage destroys nothing, and no longer. While
# this process lives it renews the lease of its own sessions, and it deletes their queues when they end.
EXPIRES = 24 * 3600 * 1000  # milliseconds
_ARGUMENTS: ArgumentsType = {"x-expires": EXPIRES}


class Broker:
    """RabbitMQ as sessions use it. Every method raises BrokerError or one of its kinds."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        # After a lost connection the broker keeps the messages it had delivered until it misses the heartbeats.
        self.slow_to_notice = 2.0 * settings.heartbeat

    async def check(self) -> None:
        await probe(self._settings)

    async def declare(self, queue: str) -> None:
        async with self._channel() as channel:
            await channel.queue_declare(queue, durable=True, arguments=_ARGUMENTS)

    async def count_ready(self, queue: str) -> int:
        """Returns how many messages wait in the queue; renews its lease. Raises QueueGone."""
        async with self._channel() as channel:
            return (await channel.queue_declare(queue, passive=True)).message_count or 0

    async def delete(self, queue: str) -> None:
        """Deletes the queue with its messages; it may be gone already."""
        async with self._channel() as channel:
            await channel.queue_delete(queue)

    def read(
        self, queue: str, receive: Receive, changed: Callable[[], None]
    ) -> AbstractAsyncContextManager[ReadingChannel]:
        """See `read_queue`."""
        return read_queue(self._settings, queue, tap_deliveries(receive), changed)

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        async with connect(self._settings) as connection, request():
            yield await connection.channel(publisher_confirms=False)
