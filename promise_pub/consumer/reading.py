"""One `/process/`: reads a session's queue, saves what comes, and knows when to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from promise_pub.amqp.reading import ReadingChannel
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.saver import Saver
from promise_pub.consumer.session import Session
from promise_pub.errors import BrokerError, BrokerLost, BrokerRefused
from promise_pub.retries import Backoff, Retries, raise_if_cancelled

BATCH_ROWS = 1000  # beyond this a bigger INSERT is hardly faster, and holds the event loop longer
BATCH_DELAY = 0.05  # seconds a lone row waits for company
LOOK_AGAIN = 0.02  # seconds; the queue holds messages that are on their way


class Reading:
    """Reads until the queue has been empty for `timeout` seconds or the session is complete.

    Messages are acked once their rows are committed, so a row is saved or still in the queue. A broker or a database
    that is away is waited for, as long as messages came since the time before. One that refuses ends the reading. After
    a lost broker connection the idle time is no less than what the broker needs to take back what it had handed over.
    """

    def __init__(self, session: Session, broker: Broker, saver: Saver, timeout: float, backoff: Backoff) -> None:
        self._session = session
        self._broker = broker
        self._saver = saver
        self._timeout = timeout
        self._retries = Retries(backoff)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_arrival = self._first_in_hand = self._loop.time()
        self._tag = 0  # of the last delivery not acked yet; 0: there is none
        self._stopped = False

    def look_again(self) -> None:
        """Something changed that may end the reading: the publisher told how many rows there are."""
        self._wake.set()

    async def run(self) -> None:
        """Raises QueueGone, or BrokerError or DatabaseError when patience was over. What came by then is counted."""
        was_there = False
        while True:
            try:
                async with self._broker.read(self._session.uuid, self._receive, self._wake.set) as channel:
                    await self._read(channel)
                    return
            except BrokerError as error:
                await self._save()
                if self._session.complete and error.passes:
                    return  # only acks were lost, for a queue that is going to be deleted
                if isinstance(error, BrokerLost):
                    was_there = True
                    self._timeout = max(self._timeout, self._broker.slow_to_notice)
                elif isinstance(error, BrokerRefused) and not was_there:
                    raise  # also a limit: no dead connection of ours counts against it
                await self._retries.wait(error, done=self._session.received)
                self._last_arrival = self._loop.time()

    def _receive(self, tag: int, message_id: str | None, redelivered: bool, body: bytes) -> None:
        """One delivery. After the end it is left unacked, so that it goes back into the queue."""
        if self._stopped:
            return
        self._last_arrival = self._loop.time()
        if not self._tag:
            self._first_in_hand = self._last_arrival
            self._wake.set()
        self._tag = tag
        self._session.receive(message_id, body, redelivered=redelivered)
        if self._session.complete:
            self._stopped = True
            self._wake.set()
        elif len(self._session.in_hand) == BATCH_ROWS:
            self._wake.set()

    async def _read(self, channel: ReadingChannel) -> None:
        while not self._session.complete:
            raise_if_cancelled()
            await self._until_due()
            if channel.end:
                raise channel.end
            if self._save_is_due():
                await self._save(channel)
            elif not self._tag and self._idle_is_over() and await self._is_empty(channel):
                break
        self._stopped = True
        await self._save(channel)

    async def _until_due(self) -> None:
        due = self._first_in_hand + BATCH_DELAY if self._tag else self._last_arrival + self._timeout
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        self._wake.clear()

    def _save_is_due(self) -> bool:
        full = len(self._session.in_hand) >= BATCH_ROWS
        return bool(self._tag) and (full or self._loop.time() >= self._first_in_hand + BATCH_DELAY)

    def _idle_is_over(self) -> bool:
        return self._loop.time() >= self._last_arrival + self._timeout

    async def _is_empty(self, channel: ReadingChannel) -> bool:
        """Asks twice: the first answer may overtake deliveries that are on their way, the second cannot."""
        for _ in range(2):
            if await channel.count_ready(self._session.uuid):
                self._last_arrival = self._loop.time()
                await asyncio.sleep(LOOK_AGAIN)
                return False
        return not self._tag

    async def _save(self, channel: ReadingChannel | None = None) -> None:
        """Commits what is in hand, then acks it on the channel it came by; without one it will come again."""
        tag, self._tag = self._tag, 0
        rows = self._session.take()
        if rows:
            try:
                done = await self._saver.save(rows)
            except BaseException:
                self._session.give_back(rows)
                raise
            self._session.settle(len(rows), saved=done.saved, refused=done.refused)
        if channel and tag:
            await channel.ack(tag)
