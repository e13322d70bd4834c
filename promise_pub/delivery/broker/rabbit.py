"""Publishes rows with confirms, many messages to a write.

aiormq's connection does the handshake, TLS, authentication and heartbeats. Its own `basic_publish` takes a lock,
awaits a drain and makes a future for every message, which is most of the time a message costs; so this channel is
handed ready-made frames of many messages as one payload, and confirms go to a ConfirmTracker, most of them before
aiormq reads them (see `frames`). It leans on parts of aiormq that are not public: the range of versions in
requirements.txt is the one this was tested with.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiormq
import aiormq.exceptions
from aio_pika.connection import make_url
from aiormq.abc import ChannelFrame, ConfirmationFrameType
from aiormq.channel import Channel
from aiormq.connection import FrameReceiver, exception_by_code
from pamqp import commands
from pamqp.header import ContentHeader
from yarl import URL

from promise_pub.addresses import place
from promise_pub.amqp.frames import Tap, TappingTransport, confirms
from promise_pub.amqp.replies import reason, refusal, translated
from promise_pub.delivery.broker.messages import CHANNEL, SLICE, Envelope
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.ports import Shipment
from promise_pub.errors import BrokerError, BrokerLost, BrokerUnreachable, QueueGone
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings

CONNECT_TIMEOUT = 10.0  # seconds for TCP, TLS, handshake and opening the channel together
ANSWER_TIMEOUT = 10.0  # seconds for a broker that is there to answer one request
CLOSE_TIMEOUT = 1.0  # seconds; a broker that does not answer a close is left to its heartbeat


class _Connection(aiormq.Connection):
    """aiormq's connection, which takes a broker's refusal of the vhost for an answer out of order.

    It also keeps to itself whether the broker has blocked it, and when it heard of it last.
    """

    def __init__(self, settings: RabbitSettings, context: ssl.SSLContext | None) -> None:
        self._transport = TappingTransport(tls=settings.ssl)
        super().__init__(_url(settings), context=context, transport_factory=self._transport)

    def tap(self, tap: Tap) -> None:
        """From now on this gets the frames first. What it takes counts as a sign of life."""

        def take(buffer: bytearray) -> int:
            taken = tap(buffer)
            if taken > 0:
                # A busy broker sends no heartbeats, and aiormq would take it for dead.
                setattr(self, "_Connection__last_frame_time", self.loop.time())  # noqa: B010
            return taken

        assert self._transport.reader
        self._transport.reader.tap = take

    @property
    def blocked(self) -> bool:
        unblocked: asyncio.Event = getattr(self, "_Connection__connection_unblocked")  # noqa: B009
        return self.connected.is_set() and not unblocked.is_set()

    @staticmethod
    async def _rpc(request: Any, writer: Any, frame_receiver: FrameReceiver, wait_response: bool = True) -> Any:
        heard = _Hearing(frame_receiver)
        try:
            return await aiormq.Connection._rpc(request, writer, heard, wait_response)
        except aiormq.exceptions.InvalidFrameError:
            if isinstance(heard.last, commands.Connection.Close):
                raise exception_by_code(heard.last) from None
            raise


class _Hearing(FrameReceiver):
    """Remembers the last frame."""

    def __init__(self, receiver: FrameReceiver) -> None:
        super().__init__(receiver.reader)
        self.last: Any = None

    async def get_frame(self) -> Any:
        received = await super().get_frame()
        _, _, self.last = received
        return received


class _ConfirmingChannel(Channel):
    """aiormq's channel, its confirms and returns handed to a tracker."""

    def __init__(self, connection: aiormq.Connection, tracker: ConfirmTracker) -> None:
        super().__init__(connection, CHANNEL, publisher_confirms=True)
        self.tracker = tracker
        self.settled = asyncio.Event()
        self._returned = False

    def take_confirms(self, buffer: bytearray) -> int:
        """A tap. Once a message has come back aiormq reads all frames, so that returns are known before their acks."""
        if self._returned:
            return 0
        found, taken, self._returned = confirms(buffer, CHANNEL)
        if found:
            now = self.loop.time()
            for confirm in found:
                settle = self.tracker.nack if confirm.nack else self.tracker.ack
                settle(confirm.tag, multiple=confirm.multiple, at=now)
            self.settled.set()
        return taken

    async def _on_confirm_frame(self, frame: ConfirmationFrameType) -> None:
        settle = self.tracker.ack if isinstance(frame, commands.Basic.Ack) else self.tracker.nack
        multiple = bool(getattr(frame, "multiple", False))
        settle(frame.delivery_tag or 0, multiple=multiple, at=self.loop.time())
        self.settled.set()

    async def _on_return_frame(self, frame: commands.Basic.Return) -> None:
        header = await self._get_frame()
        assert isinstance(header, ContentHeader)
        await self._read_content(frame, header)
        _, _, number = (header.properties.message_id or "").rpartition(":")
        if number.isdigit():
            self.tracker.came_back(int(number))


class RabbitPublisher:
    """Publishes rows of one run to one queue, on a connection of its own. See `ports.Publisher`."""

    def __init__(
        self,
        connection: _Connection,
        channel: _ConfirmingChannel,
        window: int,
        shipment: Shipment,
    ) -> None:
        self.tracker = channel.tracker
        self._connection = connection
        self._channel = channel
        self._window = window
        self._lost = channel.closing
        self._queue = ""
        self._envelope = Envelope(
            shipment.run_id,
            shipment.started_at,
            channel.max_content_size,
            shipment.digest,
            shipment.columns,
        )

    @property
    def blocked(self) -> bool:
        return self._connection.blocked

    def route_to(self, queue: str) -> None:
        self._queue = queue
        self._envelope.route_to(queue)

    async def check_queue(self) -> None:
        # On the channel of the rows: a user may have one alone. The broker closes it if the queue is not there, and
        # then it is of no use any more.
        with translated(self._judge):
            async with asyncio.timeout(ANSWER_TIMEOUT):
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
        drained = self._channel.create_future()
        payload = self._envelope.frames(rows)
        # Counted before they are written: a row that may have left is on its way, not unpublished.
        self.tracker.sent(rows[0].number, len(rows), self._channel.loop.time())
        await self._unless_lost(
            self._channel.write_queue.put(ChannelFrame(payload=payload, should_close=False, drain_future=drained))
        )
        await self._unless_lost(_wait(drained))

    async def _until_unsettled(self, most: int) -> None:
        while self.tracker.unsettled > most:
            self._channel.settled.clear()
            await self._unless_lost(self._channel.settled.wait())

    async def _unless_lost(self, waiting: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait({task, self._lost}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done() or task.cancelled() or task.exception():
                raise self._judge(None if task.cancelled() or not task.done() else task.exception())
        finally:
            task.cancel()

    def _judge(self, error: BaseException | None) -> BrokerError:
        """The end of the channel, which knows its reason better than whoever was waiting on it."""
        if self._lost.done() and not self._lost.cancelled():
            error = self._lost.exception() or error
        return refusal(error, "The broker refused") or lost(error)


def _stretches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows whose numbers follow on each other: all at once, but for rows that are sent again."""
    start = 0
    while start < len(rows):
        first = rows[start].number - start
        end = len(rows)
        if rows[-1].number - first != end - 1:
            end = next(at for at in range(start, end + 1) if at == end or rows[at].number - first != at)
        yield rows[start:end]
        start = end


async def _wait(future: asyncio.Future[Any]) -> None:
    await future


def lost(error: BaseException | None) -> BrokerLost:
    """The end of a connection that was there."""
    why = "no answer" if isinstance(error, TimeoutError) else reason(error)
    return BrokerLost(f"The connection to the broker was lost{f' ({why})' if why else ''}")


@asynccontextmanager
async def connect(settings: RabbitSettings) -> AsyncIterator[_Connection]:
    """A connection to the broker, closed with the block. Raises BrokerUnreachable or BrokerRefused."""
    connection = _Connection(settings, await _tls(settings))
    with translated(partial(_not_reached, settings)):
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await connection.connect()
    try:
        yield connection
    finally:
        with suppress(TimeoutError):
            await connection.close(timeout=CLOSE_TIMEOUT)


async def probe(settings: RabbitSettings) -> None:
    """Connects and goes. Raises BrokerUnreachable or BrokerRefused."""
    async with connect(settings):
        return


@asynccontextmanager
async def open_publisher(settings: RabbitSettings, shipment: Shipment) -> AsyncIterator[RabbitPublisher]:
    """A publisher for one run, its connection closed with the block. Raises BrokerUnreachable or BrokerRefused."""
    async with connect(settings) as connection:
        channel = _ConfirmingChannel(connection, shipment.tracker)
        connection.channels[CHANNEL] = channel
        with translated(partial(_not_reached, settings)):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await channel.open()
        connection.tap(channel.take_confirms)
        yield RabbitPublisher(connection, channel, settings.window, shipment)


def _not_reached(settings: RabbitSettings, error: BaseException | None) -> BrokerError:
    """Tells what kept a connection from coming about."""
    where = place(settings.host, settings.port)
    who = f"user {settings.user} on vhost {settings.vhost}"
    if refused := refusal(error, f"The broker at {where} refused {who}"):
        return refused
    if isinstance(error, TimeoutError) and not str(error):
        why = f"no answer within {CONNECT_TIMEOUT:g} s"
    else:
        why = reason(error) or "it hung up"
    return BrokerUnreachable(f"The broker at {where} cannot be reached: {why}")


def _url(settings: RabbitSettings) -> URL:
    return make_url(
        host=settings.host,
        port=settings.port,
        login=settings.user,
        password=settings.password,
        virtualhost=settings.vhost,
        ssl=settings.ssl,
        heartbeat=settings.heartbeat,
        name="promise-pub",
    )


async def _tls(settings: RabbitSettings) -> ssl.SSLContext | None:
    """Reading the authorities takes tens of milliseconds: in a thread."""
    if not settings.ssl:
        return None
    return await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_certificate)
