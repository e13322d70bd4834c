"""Takes events from the bus: a batch is appended to the journal, and acknowledged once it is committed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from promise_pub.amqp.reading import ReadingChannel, read_queue
from promise_pub.concurrency import background, map_in_turns, wait_or_cancel
from promise_pub.errors import BrokerError, DatabaseError, QueueGone
from promise_pub.event_records import NewEvent
from promise_pub.features.journal.bus.counts import BusCounts
from promise_pub.features.journal.bus.inbox import BATCH, Inbox
from promise_pub.features.journal.bus.topology import declare_bus
from promise_pub.features.journal.ports import Appended, Appending
from promise_pub.features.journal.reading import BusMessage, read_message
from promise_pub.features.journal.settings import BusSettings
from promise_pub.logs import fields
from promise_pub.outages import BACKOFF, Outage
from promise_pub.retries import Backoff, raise_if_cancelled
from promise_pub.settings.model import RabbitSettings

log = logging.getLogger(__name__)

MAX_TAKEN = 2 * BATCH  # messages in hand: 72 MB, were all of them of the longest kind
STEADY = 5.0  # seconds after which a connection that still holds ends an outage
LAST_MOMENT = 0.5  # seconds to end what is under way; it will be delivered again


class BusTaker:
    """Takes events while `running`, from a queue that any number of servers may share.

    A message is acknowledged once its event is committed, was there before, or was refused by PostgreSQL; or at once where
    it comes from this journal, whose name is `journal_name`.
    """

    def __init__(
        self,
        rabbit: RabbitSettings,
        bus: BusSettings,
        journal: Appending,
        journal_name: UUID,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._rabbit = rabbit
        self._bus = bus
        self._journal = journal
        self._name = str(journal_name)
        self._tally: Counter[str] = Counter()
        self._longest = backoff.longest
        self._broker_outage = Outage("The bus cannot be read", "The bus is read again", backoff)
        self._database_outage = Outage("Events of the bus wait", "Events of the bus are appended again", backoff)

    @property
    def counts(self) -> BusCounts:
        return BusCounts(**self._tally)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_taking())
        try:
            yield
        finally:
            task.cancel()
            await wait_or_cancel([task], LAST_MOMENT)

    async def _keep_taking(self) -> None:
        while True:
            raise_if_cancelled()
            try:
                await self._take()
            except BrokerError as error:
                delay = self._broker_outage.note(error)
            except Exception:
                log.exception("The bus cannot be read after an unexpected error")
                delay = self._longest
            await asyncio.sleep(delay)

    async def _take(self) -> None:
        """Takes events until the channel ends. Raises a kind of BrokerError."""
        await declare_bus(self._rabbit, self._bus)
        inbox = Inbox()
        async with read_queue(self._rabbit, self._bus.queue, inbox.take_frames, inbox.note_end, MAX_TAKEN) as channel:
            steady = asyncio.get_running_loop().call_later(STEADY, self._broker_outage.end)
            try:
                last, events = await self._read_next(inbox, channel)
                while True:
                    raise_if_cancelled()
                    # While a batch is on its way to disk, the next one comes and is read.
                    async with background(self._read_next(inbox, channel)) as following:
                        await self._append(events, channel, inbox)
                        await channel.ack(last)
                        last, events = await following
            finally:
                steady.cancel()

    async def _read_next(self, inbox: Inbox, channel: ReadingChannel) -> tuple[int, list[NewEvent]]:
        """Returns the tag of a batch's last message, and its events. Raises a kind of BrokerError when the channel ends."""
        batch = await inbox.next_batch()
        self._raise_end(channel)
        return batch[-1].tag, await self._read(batch)

    def _raise_end(self, channel: ReadingChannel) -> None:
        if isinstance(channel.end, QueueGone):
            raise QueueGone(f"The queue {self._bus.queue} was deleted")
        if channel.end:
            raise channel.end

    async def _read(self, messages: Sequence[BusMessage]) -> list[NewEvent]:
        """Returns the events that messages are, without those that come from this journal."""
        events: list[NewEvent] = []
        all_read = await map_in_turns(partial(read_message, journal=self._name), messages)
        for message, read in zip(messages, all_read, strict=True):
            if read.own:
                self._tally["own"] += 1
                continue
            events.append(read.event)
            self._tally["without_id"] += read.event.message_id is None
            self._tally["cut"] += message.body is None
            self._tally["headers_cut"] += read.headers_cut
        self._tally["taken"] += len(messages)
        return events

    async def _append(self, events: Sequence[NewEvent], channel: ReadingChannel, inbox: Inbox) -> None:
        """Commits events, however long the database is away. Raises a kind of BrokerError when the channel ends."""
        while events:
            try:
                appended = await self._journal.append(events)
            except DatabaseError as error:
                await inbox.wait(self._database_outage.note(error))
                self._raise_end(channel)
                continue
            self._database_outage.end()
            self._count(appended)
            return

    def _count(self, appended: Appended) -> None:
        self._tally["added"] += appended.added
        self._tally["known"] += appended.known
        self._tally["refused"] += len(appended.refused)
        if appended.refused:
            first = appended.refused[0]
            log.warning(
                "The database refused events of the bus",
                extra=fields(events=len(appended.refused), topic=first.topic, size=len(first.body)),
            )
