"""Publishes promise-pub's own events on the bus, with publisher confirms, in the order of the journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol
from uuid import UUID

import aiormq.exceptions
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic
from pamqp.common import FieldValue

from promise_pub.amqp.connection import connect, request
from promise_pub.amqp.replies import end_of_connection
from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import BrokerError, BrokerLost, DatabaseError
from promise_pub.event_records import Event
from promise_pub.features.journal.bus.topology import declare_exchange
from promise_pub.features.journal.ports import EventPage, Head, Selection
from promise_pub.features.journal.reading import JOURNAL_HEADER
from promise_pub.features.journal.settings import BusSettings
from promise_pub.outages import BACKOFF, Outage
from promise_pub.retries import Backoff, raise_if_cancelled
from promise_pub.settings.model import RabbitSettings
from promise_pub.times import rfc3339

log = logging.getLogger(__name__)

BATCH = 100  # events whose confirms are waited for together
MAX_NAME = 255  # bytes of a routing key or a message id
LAST_MOMENT = 0.5  # seconds to end what is under way; it will be published again
_PERSISTENT = 2


class Publishing(Protocol):
    """The journal as its own events are published. Every method raises a kind of DatabaseError."""

    async def read(self, selection: Selection) -> EventPage: ...

    def publishing_turn(self) -> AbstractAsyncContextManager[int | None]:
        """Holds the turn to publish during the block, for half a minute at most.

        Yields the number up to which own events are on the bus; None while another server has the turn. A server that
        is killed, or loses the connection that holds its turn, has it no more.
        """

    async def move_published(self, position: int) -> None:
        """Notes that own events up to this number are on the bus. The position never falls."""


class BusPublisher:
    """Publishes own events while `running`, whenever it is told that the journal has grown.

    The servers of one journal publish by turns, a batch at a time. An event that was published when a server is killed,
    or its connection lost, may be published again.
    """

    def __init__(
        self, rabbit: RabbitSettings, bus: BusSettings, journal: Publishing, backoff: Backoff = BACKOFF
    ) -> None:
        self.published = 0
        """The number of events published since the start."""
        self._rabbit = rabbit
        self._bus = bus
        self._journal = journal
        self._longest = backoff.longest
        self._outage = Outage("Own events are not published", "Own events are published again", backoff)
        self._head: Head | None = None
        self._grown = asyncio.Event()
        self._stack = AsyncExitStack()
        self._channel: AbstractChannel | None = None

    def tell(self, head: Head) -> None:
        """Tells of the journal's newest head. Never waits."""
        self._head = head
        self._grown.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_publishing())
        try:
            yield
        finally:
            task.cancel()
            await wait_or_cancel([task], LAST_MOMENT)

    async def _keep_publishing(self) -> None:
        try:
            while True:
                raise_if_cancelled()
                await self._grown.wait()
                self._grown.clear()
                assert self._head
                try:
                    await self.publish_up_to(self._head)
                    self._outage.end()
                    continue
                except (BrokerError, DatabaseError) as error:
                    delay = self._outage.note(error)
                except Exception:
                    log.exception("Own events are not published after an unexpected error")
                    delay = self._longest
                await asyncio.sleep(delay)
                self._grown.set()
        finally:
            await self._disconnect()

    async def publish_up_to(self, head: Head) -> None:
        """Publishes the own events up to a head, or as far as no other server does. Raises a kind of BrokerError or
        DatabaseError."""
        position: int | None = head.published
        while position is not None and position < head.seq:
            position = await self._publish_next(head)

    async def _publish_next(self, head: Head) -> int | None:
        """Publishes a batch, and returns the new position; None while another server has the turn."""
        # First of all, since a broker that is away would make other servers wait for the turn.
        channel = await self._connect()
        async with self._journal.publishing_turn() as position:
            if position is None or position >= head.seq:
                return position
            page = await self._journal.read(Selection(after=position, limit=BATCH, source="own"))
            await self._publish(channel, page.events, head.journal)
            last = page.events[-1].seq if page.events else 0
            position = max(head.seq, last) if page.next is None else page.next
            await self._journal.move_published(position)
        return position

    async def _publish(self, channel: AbstractChannel, events: Sequence[Event], journal: UUID) -> None:
        try:
            async with request(_judge):
                sent = await asyncio.gather(
                    *(self._publish_one(channel, event, journal) for event in events), return_exceptions=True
                )
                for error in sent:
                    if error is not None:
                        raise error
        except BaseException:
            # A channel that has refused one event may go on to refuse all.
            await self._disconnect()
            raise
        self.published += len(events)

    async def _publish_one(self, channel: AbstractChannel, event: Event, journal: UUID) -> None:
        headers: dict[str, FieldValue] = {
            "at": rfc3339(event.at, "microseconds"),
            "seq": event.seq,
            JOURNAL_HEADER: str(journal),
        }
        if event.subject is not None:
            headers["subject"] = event.subject
        properties = Basic.Properties(
            content_type=event.content_type or "application/json",
            delivery_mode=_PERSISTENT,
            app_id="promise-pub",
            message_id=_cut(event.message_id or str(event.key)),
            timestamp=event.at,
            headers=headers,
        )
        await channel.basic_publish(
            event.body,
            exchange=self._bus.exchange,
            routing_key=_cut(event.topic),
            properties=properties,
        )

    async def _connect(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            await self._disconnect()
            connection = await self._stack.enter_async_context(connect(self._rabbit))
            async with request():
                channel = await connection.channel(publisher_confirms=True)
            await declare_exchange(channel, self._rabbit, self._bus)
            self._channel = channel
        return self._channel

    async def _disconnect(self) -> None:
        self._channel = None
        await self._stack.aclose()


def _judge(error: BaseException | None) -> BrokerError:
    if isinstance(error, aiormq.exceptions.DeliveryError):
        return BrokerLost("The broker did not take an event")
    return end_of_connection(error)


def _cut(name: str) -> str:
    return name.encode()[:MAX_NAME].decode("utf-8", "ignore")
