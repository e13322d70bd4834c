"""Reading a queue at full speed: deliveries are taken before aiormq, which makes a task of each, has read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from promise_pub.amqp.aiormq_internals import FrameChannel, TappedConnection
from promise_pub.amqp.connection import open_channel, request
from promise_pub.amqp.frames import Tap, parse_deliveries
from promise_pub.amqp.replies import end_of_connection
from promise_pub.errors import BrokerError, QueueGone
from promise_pub.settings.model import RabbitSettings

PREFETCH = 3000  # messages: a batch on its way to disk, one filling up, one on the wire

Receive = Callable[[int, str | None, bool, bytes], None]
"""Takes one delivery: its tag, its message id, whether the broker handed it over before, its body."""


def tap_deliveries(receive: Receive) -> Tap:
    """Returns a tap that hands deliveries to `receive`, for `read_queue`."""

    def take(buffer: bytearray) -> int:
        found, taken = parse_deliveries(buffer)
        for delivery in found:
            receive(*delivery)
        return taken

    return take


class ReadingChannel(FrameChannel):
    """A channel that reads one queue. Its methods raise a kind of BrokerError."""

    def __init__(self, connection: TappedConnection, take: Tap, changed: Callable[[], None]) -> None:
        super().__init__(connection, publisher_confirms=False)
        self._queue_gone = False
        self._take = take
        self._changed = changed
        self.on_consumer_cancel_callbacks.add(self._note_cancel)
        self.closing.add_done_callback(lambda _: changed())

    def take_frames(self, buffer: bytearray) -> int:
        return self._take(buffer)

    @property
    def end(self) -> BrokerError | None:
        """The reason that nothing more is delivered; None while that is not so."""
        if self._queue_gone:
            return QueueGone()
        if not self.is_closed:
            return None
        return end_of_connection(None if self.closing.cancelled() else self.closing.exception())

    def _note_cancel(self, _: object) -> None:
        self._queue_gone = True
        self._changed()

    async def consume(self, queue: str, prefetch: int) -> None:
        async with request():
            await self.basic_qos(prefetch_count=prefetch)
            await self.basic_consume(queue, _unused)

    async def ack(self, tag: int) -> None:
        """Acknowledges this delivery and all before it."""
        async with request():
            await self.basic_ack(tag, multiple=True)

    async def count_ready(self, queue: str) -> int:
        """Returns how many messages the queue holds that were delivered to nobody. Raises QueueGone."""
        async with request():
            return (await self.queue_declare(queue, passive=True)).message_count or 0


async def _unused(_: object) -> None:
    raise AssertionError("the tap takes every delivery")


@asynccontextmanager
async def read_queue(
    settings: RabbitSettings, queue: str, take: Tap, changed: Callable[[], None], prefetch: int = PREFETCH
) -> AsyncIterator[ReadingChannel]:
    """Reads the queue while the block runs, on a connection of its own; what is not acknowledged goes back into it.

    `take` gets the deliveries, and leaves none to aiormq. `changed` is called when the channel was lost or the queue is gone: see `ReadingChannel.end`.
    """
    make = partial(ReadingChannel, take=take, changed=changed)
    async with open_channel(settings, make) as channel:
        await channel.consume(queue, prefetch)
        yield channel
