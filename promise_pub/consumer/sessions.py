"""The sessions there are: created, processed, removed, and ended when nobody removes them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from socket import gethostname
from typing import Any, TypeVar
from uuid import uuid4

from promise_pub.concurrency import BackgroundTasks, wait_or_cancel
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.reading import Reading
from promise_pub.consumer.saver import OUTAGE, Saver
from promise_pub.consumer.session import Session
from promise_pub.errors import BadParameter, BrokerError, DatabaseError, ServerStopping
from promise_pub.retries import Backoff, raise_if_cancelled, retry

log = logging.getLogger(__name__)

T = TypeVar("T")

CREATE_TIMEOUT = 8.0  # seconds; publishers wait 10 for the answer
DELETE_TIMEOUT = 5.0  # seconds; a broker that takes longer is asked again when nobody waits for it
STOP_TIMEOUT = 2.0  # seconds for all that has to be stopped together
FORGET_AFTER = 2 * 3600.0  # seconds in which nobody asked and no message came: twice the longest idle timeout
REMEMBERED = 100  # removed sessions whose final counts are told again to who asks again
LOOK_EVERY = 300.0  # seconds between looks for sessions to forget; each renews the leases of their queues


class _Held:
    """A session and what runs for it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.reading: Reading | None = None
        self.processing: asyncio.Task[None] | None = None
        self.removal: asyncio.Task[Session] | None = None
        self.timeout: int | None = None  # of the last process; None: never processed
        self.touched = time.monotonic()
        self.waiting = 0  # messages in the queue at the last look

    @property
    def busy(self) -> bool:
        return self.removal is not None or (self.processing is not None and not self.processing.done())

    def tell(self, sent: int | None) -> None:
        if sent is not None:
            self.session.sent = sent
            if self.reading:
                self.reading.look_again()


class Sessions:
    """The sessions of one consumer process. They live in its memory and end with it, their queues too."""

    def __init__(
        self, broker: Broker, saver: Saver, *, backoff: Backoff = OUTAGE, forget_after: float = FORGET_AFTER
    ) -> None:
        self._broker = broker
        self._saver = saver
        self._backoff = backoff
        self._forget_after = forget_after
        self._host = gethostname()
        self._held: dict[str, _Held] = {}
        self._removed: dict[str, Session] = {}
        self._stopping = False
        self._late = BackgroundTasks()  # deletions that nobody waits for

    async def create(self) -> Session:
        """A session with its queue declared. Raises BrokerError or DatabaseError when either is away."""
        self._refuse_when_stopping()
        session = Session(str(uuid4()), self._host, datetime.now(UTC))
        try:
            async with asyncio.timeout(CREATE_TIMEOUT):
                await self._saver.check()
                await self._broker.declare(session.uuid)
        except TimeoutError as error:
            raise BrokerError(f"Broker and database did not both answer within {CREATE_TIMEOUT:g} s.") from error
        self._held[session.uuid] = _Held(session)
        return session

    def get(self, uuid: str) -> Session:
        """Raises BadParameter when there is none."""
        return self._find(uuid).session

    def process(self, uuid: str, timeout: int, sent: int | None) -> Coroutine[Any, Any, None]:
        """Starts reading. The coroutine returned waits for the end and raises what ended it before its time."""
        self._refuse_when_stopping()
        held = self._find(uuid)
        if held.busy:
            raise BadParameter("The session is processing already")
        held.session.sent = sent
        self._start(held, timeout)
        return _outcome(held)

    async def remove(self, uuid: str, sent: int | None) -> Session:
        """Waits while the session is processing, deletes its queue and returns the final counts.

        When `sent` says that rows are missing and the queue holds messages, they are read first. Asked twice at once,
        both get the same answer; so does who asks again, because the first answer was lost on its way.
        """
        if uuid in self._removed:
            return self._removed[uuid]
        held = self._find(uuid)
        held.tell(sent)
        if held.removal is None:
            held.removal = asyncio.create_task(self._remove(held))
        return await _unless_stopped(held.removal)

    async def look_after(self, every: float = LOOK_EVERY) -> None:
        """Runs until cancelled: forgets sessions nobody removes, and keeps the queues of the others."""
        while True:
            await asyncio.sleep(every)
            for held in [held for held in self._held.values() if not held.busy]:
                await self._look(held)
                raise_if_cancelled()

    async def stop(self) -> None:
        """Ends all sessions now; those who wait for one get ServerStopping.

        Queues are deleted if the broker is there: nobody could read them any more, and a publisher gets its rows
        back at once instead of never.
        """
        self._stopping = True
        everything, self._held = list(self._held.values()), {}
        tasks = [task for held in everything for task in (held.removal, held.processing) if task]
        tasks += self._late
        for task in tasks:
            task.cancel()
        deletions = [asyncio.create_task(self._delete(held.session)) for held in everything]
        await wait_or_cancel([*tasks, *deletions], STOP_TIMEOUT)

    def _find(self, uuid: str) -> _Held:
        held = self._held.get(uuid)
        if held is None:
            raise BadParameter("Not a valid uuid")
        held.touched = time.monotonic()
        return held

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise ServerStopping("The consumer is stopping.")

    def _start(self, held: _Held, timeout: int) -> None:
        held.timeout = timeout
        held.session.ended = None
        held.reading = Reading(held.session, self._broker, self._saver, timeout, self._backoff)
        held.processing = asyncio.create_task(held.reading.run())
        held.processing.add_done_callback(_ender(held))

    async def _remove(self, held: _Held) -> Session:
        await _settled(held)
        if held.timeout is not None and await self._left_behind(held):
            self._start(held, held.timeout)
            await _settled(held)
        await self._delete(held.session)
        held.session.ended = held.session.ended or datetime.now(UTC)
        self._held.pop(held.session.uuid, None)
        self._removed[held.session.uuid] = held.session
        if len(self._removed) > REMEMBERED:
            del self._removed[next(iter(self._removed))]
        return held.session

    async def _left_behind(self, held: _Held) -> bool:
        """Whether rows that the publisher speaks of wait in the queue though the reading is over."""
        if held.session.sent is None or held.session.complete:
            return False
        try:
            return await self._broker.count_ready(held.session.uuid) > 0
        except BrokerError:  # gone or away: then the counts known are the answer
            return False

    async def _delete(self, session: Session) -> None:
        try:
            async with asyncio.timeout(DELETE_TIMEOUT):
                await self._broker.delete(session.uuid)
        except (BrokerError, TimeoutError) as error:
            log.warning("Queue %s was not deleted yet: %s", session.uuid, error)
            if not self._stopping:
                self._late.start(self._delete_late(session.uuid))

    async def _delete_late(self, queue: str) -> None:
        """Deletes the queue when the broker is back. One that refuses, or a quarter of an hour, leaves it to expire."""
        try:
            await retry(partial(self._broker.delete, queue), self._backoff, BrokerError)
        except BrokerError as error:
            log.warning("Queue %s was not deleted and will expire: %s", queue, error.message)

    async def _look(self, held: _Held) -> None:
        waiting = held.waiting
        try:
            held.waiting = await self._broker.count_ready(held.session.uuid)
        except BrokerError as error:
            if error.passes:
                return
            # A queue that is gone, or may not be looked at, brings nothing more: its session is not kept for ever.
        if held.waiting != waiting:
            held.touched = time.monotonic()
        elif not held.busy and time.monotonic() - held.touched > self._forget_after:
            log.warning("Session %s is forgotten: nobody removed it", held.session.uuid)
            held.removal = asyncio.create_task(self._remove(held))


def _ender(held: _Held) -> Callable[[asyncio.Task[None]], None]:
    """Notes the end of a reading, and says why when it came before its time."""

    def end(task: asyncio.Task[None]) -> None:
        held.session.ended = datetime.now(UTC)
        held.touched = time.monotonic()
        held.reading = None
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        expected = isinstance(error, BrokerError | DatabaseError)
        log.error(
            "Session %s: reading ended: %s",
            held.session.uuid,
            error if expected else type(error).__name__,  # which may quote a row
            exc_info=None if expected else error,
        )

    return end


async def _outcome(held: _Held) -> None:
    assert held.processing
    await _unless_stopped(held.processing)


async def _unless_stopped(task: asyncio.Task[T]) -> T:
    """The task's result. Whoever waits may be cancelled without ending the task."""
    await asyncio.wait({task})
    if task.cancelled():
        raise ServerStopping("The consumer is stopping.")
    return task.result()


async def _settled(held: _Held) -> None:
    """Waits until nothing is processing, however it ended."""
    if held.processing:
        await asyncio.wait({held.processing})
