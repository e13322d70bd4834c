"""Carries out one `/process/`: reads a session's queue, saves its rows, and recognises the end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from promise_pub.amqp.reading import ReadingChannel
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.saver import Saver
from promise_pub.consumer.session import ConsumerSession
from promise_pub.errors import BrokerError, BrokerLost, BrokerRefused
from promise_pub.retries import Backoff, Retries, raise_if_cancelled

BATCH_ROWS = 1000  # a larger INSERT is hardly faster, and holds the event loop longer
BATCH_DELAY = 0.05  # seconds that a row waits for others
COUNT_AGAIN = 0.02  # seconds before the next count of a queue whose messages are on their way


class Reading:
    """Reads until the queue has been empty for `timeout` seconds or the session is complete.

    Messages are acknowledged once their rows are committed, so a row is saved or still in the queue. The reading waits
    for a broker or a database that is away, as long as messages arrive between its outages; a refusal ends it. After a
    lost connection the idle time is at least as long as the broker needs to take back the messages it had delivered.
    """

    def __init__(
        self, session: ConsumerSession, broker: Broker, saver: Saver, timeout: float, backoff: Backoff
    ) -> None:
        self._session = session
        self._broker = broker
        self._saver = saver
        self._timeout = timeout
        # After a lost connection, the shortest idle time.
        self._shortest = 0.0
        self._retries = Retries(backoff)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_arrival = self._first_pending = self._loop.time()
        # The tag of the last delivery that is not acknowledged yet; 0: there is none.
        self._tag = 0
        self._stopped = False

    def wake(self) -> None:
        """Makes the reading check whether it is complete: the publisher has said how many rows there are."""
        self._wake.set()

    def end_soon(self, timeout: float) -> None:
        """Shortens the idle time: no more rows are published, and those in the queue are still read."""
        self._timeout = min(self._timeout, timeout)
        self._wake.set()

    async def run(self) -> None:
        """Raises a kind of BrokerError or DatabaseError after a refusal, or an outage that lasted too long."""
        connected_before = False
        while True:
            try:
                async with self._broker.read(self._session.uuid, self._receive, self._wake.set) as channel:
                    await self._read(channel)
                    return
            except BrokerError as error:
                await self._save()
                if self._session.complete and error.passes:
                    # Only acks were lost, for a queue that will be deleted.
                    return
                if isinstance(error, BrokerLost):
                    connected_before = True
                    self._shortest = self._broker.slow_to_notice
                elif isinstance(error, BrokerRefused) and not connected_before:
                    # Also at a limit of connections: no dead one of ours counts against it.
                    raise
                await self._retries.wait(error, done=self._session.received)
                self._last_arrival = self._loop.time()

    def _receive(self, tag: int, message_id: str | None, redelivered: bool, body: bytes) -> None:
        """Takes one delivery. After the end it stays unacknowledged, and goes back into the queue."""
        if self._stopped:
            return
        self._last_arrival = self._loop.time()
        if not self._tag:
            self._first_pending = self._last_arrival
            self._wake.set()
        self._tag = tag
        self._session.receive(message_id, body, redelivered=redelivered)
        if self._session.complete:
            self._stopped = True
            self._wake.set()
        elif len(self._session.pending) == BATCH_ROWS:
            self._wake.set()

    async def _read(self, channel: ReadingChannel) -> None:
        while not self._session.complete:
            raise_if_cancelled()
            await self._until_due()
            if channel.end:
                raise channel.end
            now = self._loop.time()
            if self._tag:
                if len(self._session.pending) >= BATCH_ROWS or now >= self._first_pending + BATCH_DELAY:
                    await self._save(channel)
            elif now >= self._idle_until and await self._is_empty(channel):
                break
        self._stopped = True
        await self._save(channel)

    @property
    def _idle_until(self) -> float:
        return self._last_arrival + max(self._timeout, self._shortest)

    async def _until_due(self) -> None:
        due = self._first_pending + BATCH_DELAY if self._tag else self._idle_until
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        self._wake.clear()

    async def _is_empty(self, channel: ReadingChannel) -> bool:
        """Tells whether the queue is empty. The first count may overtake deliveries on their way, the second cannot."""
        for _ in range(2):
            if await channel.count_ready(self._session.uuid):
                self._last_arrival = self._loop.time()
                await asyncio.sleep(COUNT_AGAIN)
                return False
        return not self._tag

    async def _save(self, channel: ReadingChannel | None = None) -> None:
        """Commits the pending rows and acknowledges them on their channel; without one they will be delivered again."""
        tag, self._tag = self._tag, 0
        rows = self._session.take_pending()
        if rows:
            try:
                done = await self._saver.save(rows)
            except BaseException:
                self._session.give_back(rows)
                raise
            self._session.settle(len(rows), *done)
        if channel and tag:
            await channel.ack(tag)
