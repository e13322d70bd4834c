"""Creates, processes and removes sessions, and ends those that nobody removes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from socket import gethostname
from typing import Any, TypeVar
from uuid import uuid4

from promise_pub.concurrency import BackgroundTasks, wait_or_cancel
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.reading import Reading
from promise_pub.consumer.saver import OUTAGE, Saver
from promise_pub.consumer.session import ConsumerSession
from promise_pub.errors import BadParameter, BrokerError, DatabaseError, QueueGone, ServerBusy, ServerStopping
from promise_pub.retries import Backoff, raise_if_cancelled, retry

log = logging.getLogger(__name__)

T = TypeVar("T")

CREATE_TIMEOUT = 8.0  # seconds; publishers wait 10 for the answer
DELETE_TIMEOUT = 5.0  # seconds; a slower broker is asked again when nobody waits for it
MAX_SESSIONS = 100  # open at once; a publisher needs one, and one that is processing has a connection to the broker
UNUSED_AFTER = 60.0  # seconds without a first message, after which a session makes room for a new one
REMOVAL_IDLE = 60  # seconds of an empty queue that end a reading once its removal was asked: every row was sent before
STOP_TIMEOUT = 2.0  # seconds to stop everything
FORGET_AFTER = 2 * 3600.0  # seconds without a request or a message: twice the longest idle timeout
MAX_REMOVED = 100  # sessions whose final counts are kept, for a publisher that asks again
SWEEP_EVERY = 300.0  # seconds between sweeps for sessions to forget; each renews the leases of their queues


class _TrackedSession:
    """A session and its tasks."""

    def __init__(self, session: ConsumerSession) -> None:
        self.session = session
        self.reading: Reading | None = None
        self.processing: asyncio.Task[None] | None = None
        self.removal: asyncio.Task[ConsumerSession] | None = None
        # The timeout of the last `/process/`.
        self.timeout = 0
        self.created = self.touched = time.monotonic()
        # Messages in the queue at the last sweep.
        self.waiting = 0

    @property
    def busy(self) -> bool:
        return self.removal is not None or (self.processing is not None and not self.processing.done())

    @property
    def unused(self) -> bool:
        """True if it has been open for a while and has received nothing. Rows may still wait in its queue."""
        idle = not self.session.received and self.removal is None
        return idle and time.monotonic() - self.created > UNUSED_AFTER

    def set_sent(self, sent: int | None) -> None:
        if sent is not None:
            self.session.sent = sent
            if self.reading:
                self.reading.wake()


class ConsumerSessions:
    """The sessions of one consumer process. They live in its memory and end with it, and so do their queues."""

    def __init__(
        self, broker: Broker, saver: Saver, backoff: Backoff = OUTAGE, forget_after: float = FORGET_AFTER
    ) -> None:
        self._broker = broker
        self._saver = saver
        self._backoff = backoff
        self._forget_after = forget_after
        self._host = gethostname()
        self._tracked: dict[str, _TrackedSession] = {}
        self._removed: dict[str, ConsumerSession] = {}
        self._stopping = False
        self._background = BackgroundTasks()

    async def create(self) -> ConsumerSession:
        """Returns a session whose queue is declared.

        Raises BrokerError or DatabaseError when either is away, ServerBusy while too many sessions are in use.
        """
        self._refuse_when_stopping()
        session = ConsumerSession(str(uuid4()), self._host, datetime.now(UTC))
        try:
            async with asyncio.timeout(CREATE_TIMEOUT):
                await self._make_room()
                # Before its queue is there: of many that are asked for at once, each counts.
                self._tracked[session.uuid] = _TrackedSession(session)
                await self._saver.check()
                await self._broker.declare(session.uuid)
        except BaseException as error:
            self._tracked.pop(session.uuid, None)
            if isinstance(error, TimeoutError):
                raise BrokerError(f"Broker and database did not both answer within {CREATE_TIMEOUT:g} s.") from error
            raise
        return session

    def get(self, uuid: str) -> ConsumerSession:
        """Returns the session. Raises BadParameter for an unknown uuid."""
        return self._find(uuid).session

    def process(self, uuid: str, timeout: int, sent: int | None) -> Coroutine[Any, Any, None]:
        """Starts reading. The returned coroutine waits for the end, and raises the error that ended it early."""
        self._refuse_when_stopping()
        tracked = self._find(uuid)
        if tracked.busy:
            raise BadParameter("The session is processing already")
        tracked.session.sent = sent
        return _unless_stopped(self._start(tracked, timeout))

    async def remove(self, uuid: str, sent: int | None) -> ConsumerSession:
        """Waits while the session is processing, deletes its queue and returns the final counts.

        The reading ends a minute after the last message at the latest: publishers remove a session once every row is
        confirmed.

        When `sent` says that rows are missing and the queue holds messages, they are read first. Two calls at once get
        the same answer, and so does a later one, whose first answer may have been lost on its way.
        """
        if uuid in self._removed:
            return self._removed[uuid]
        tracked = self._find(uuid)
        tracked.set_sent(sent)
        if tracked.removal is None:
            tracked.removal = asyncio.create_task(self._remove(tracked, REMOVAL_IDLE))
        return await _unless_stopped(tracked.removal)

    async def sweep(self, every: float = SWEEP_EVERY) -> None:
        """Runs until cancelled: forgets sessions that nobody removes, and keeps the queues of the others."""
        while True:
            await asyncio.sleep(every)
            for tracked in [tracked for tracked in self._tracked.values() if not tracked.busy]:
                await self._sweep(tracked)
                raise_if_cancelled()

    async def stop(self) -> None:
        """Ends all sessions now; calls that wait for one raise ServerStopping.

        Queues are deleted if the broker answers: nobody could read them any more, and a publisher then gets its rows
        back at once.
        """
        self._stopping = True
        everything, self._tracked = list(self._tracked.values()), {}
        tasks = [task for tracked in everything for task in (tracked.removal, tracked.processing) if task]
        tasks += self._background
        for task in tasks:
            task.cancel()
        deletions = [asyncio.create_task(self._delete(tracked.session)) for tracked in everything]
        await wait_or_cancel([*tasks, *deletions], STOP_TIMEOUT)

    async def _make_room(self) -> None:
        """Ends sessions that no message has reached, the oldest first, while too many are open.

        Who may call this consumer and not publish to its broker could hold all of them otherwise. Raises ServerBusy if
        that does not help, BrokerError when the broker is away.
        """
        for tracked in [tracked for tracked in self._tracked.values() if tracked.unused]:
            if len(self._tracked) < MAX_SESSIONS:
                break
            try:
                waiting = await self._broker.count_ready(tracked.session.uuid)
            except QueueGone:
                waiting = 0
            if not waiting and tracked.unused:
                log.warning("Session %s is ended for a new one: no message has reached it", tracked.session.uuid)
                tracked.removal = self._background.start(self._remove(tracked, idle=0))
                self._tracked.pop(tracked.session.uuid, None)
        if len(self._tracked) >= MAX_SESSIONS:
            raise ServerBusy(
                f"{MAX_SESSIONS} sessions are open already. Remove those that are not needed, or try again in a minute."
            )

    def _find(self, uuid: str) -> _TrackedSession:
        tracked = self._tracked.get(uuid)
        if tracked is None:
            raise BadParameter("Not a valid uuid")
        tracked.touched = time.monotonic()
        return tracked

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise ServerStopping("The consumer is stopping.")

    def _start(self, tracked: _TrackedSession, timeout: int) -> asyncio.Task[None]:
        tracked.timeout = timeout
        tracked.session.ended = None
        tracked.reading = Reading(tracked.session, self._broker, self._saver, timeout, self._backoff)
        tracked.processing = asyncio.create_task(tracked.reading.run())
        tracked.processing.add_done_callback(partial(_note_end, tracked))
        return tracked.processing

    async def _remove(self, tracked: _TrackedSession, idle: int) -> ConsumerSession:
        if tracked.reading:
            tracked.reading.end_soon(idle)
        if tracked.processing:
            await asyncio.wait({tracked.processing})
            if await self._has_unread_rows(tracked.session):
                await asyncio.wait({self._start(tracked, min(tracked.timeout, idle))})
        await self._delete(tracked.session)
        tracked.session.ended = tracked.session.ended or datetime.now(UTC)
        self._tracked.pop(tracked.session.uuid, None)
        self._removed[tracked.session.uuid] = tracked.session
        if len(self._removed) > MAX_REMOVED:
            del self._removed[next(iter(self._removed))]
        return tracked.session

    async def _has_unread_rows(self, session: ConsumerSession) -> bool:
        """Tells whether rows of the publisher's count wait in the queue although the reading is over."""
        if session.sent is None or session.complete:
            return False
        try:
            return await self._broker.count_ready(session.uuid) > 0
        except BrokerError:
            # The queue is gone or the broker away: the known counts are the answer.
            return False

    async def _delete(self, session: ConsumerSession) -> None:
        try:
            async with asyncio.timeout(DELETE_TIMEOUT):
                await self._broker.delete(session.uuid)
        except (BrokerError, TimeoutError) as error:
            log.warning("Queue %s was not deleted yet: %s", session.uuid, error)
            if not self._stopping:
                self._background.start(self._delete_late(session.uuid))

    async def _delete_late(self, queue: str) -> None:
        """Deletes the queue when the broker is back; after a refusal or a quarter of an hour it is left to expire."""
        try:
            await retry(partial(self._broker.delete, queue), self._backoff, BrokerError)
        except BrokerError as error:
            log.warning("Queue %s was not deleted and will expire: %s", queue, error.message)

    async def _sweep(self, tracked: _TrackedSession) -> None:
        waiting = tracked.waiting
        try:
            tracked.waiting = await self._broker.count_ready(tracked.session.uuid)
        except BrokerError as error:
            if error.passes:
                return
            # No more messages come from a queue that is gone or must not be read: its session is not kept for ever.
        if tracked.waiting != waiting:
            tracked.touched = time.monotonic()
        elif not tracked.busy and time.monotonic() - tracked.touched > self._forget_after:
            log.warning("Session %s is forgotten: nobody removed it", tracked.session.uuid)
            tracked.removal = asyncio.create_task(self._remove(tracked, REMOVAL_IDLE))


def _note_end(tracked: _TrackedSession, task: asyncio.Task[None]) -> None:
    """Notes the end of a reading, and logs why it ended early."""
    tracked.session.ended = datetime.now(UTC)
    tracked.touched = time.monotonic()
    tracked.reading = None
    error = None if task.cancelled() else task.exception()
    if isinstance(error, BrokerError | DatabaseError):
        log.error("Session %s: reading ended: %s", tracked.session.uuid, error)
    elif error:
        # Its text may quote a row.
        log.error("Session %s: reading ended: %s", tracked.session.uuid, type(error).__name__, exc_info=error)


async def _unless_stopped(task: asyncio.Task[T]) -> T:
    """Returns the task's result. Cancelling the caller does not cancel the task."""
    await asyncio.wait({task})
    if task.cancelled():
        raise ServerStopping("The consumer is stopping.")
    return task.result()
