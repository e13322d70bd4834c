"""The two protocols: the order of steps with one session, and nothing else.

Live: create, process, publish, remove. Batch: create, publish, process, remove.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import Any, Protocol

from promise_pub.concurrency import background, finish_task
from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.ports import Consumer
from promise_pub.delivery.run.pacing import Pacer
from promise_pub.errors import (
    BrokerError,
    ConsumerComplaint,
    ConsumerError,
    QueueGone,
    SessionLost,
)
from promise_pub.logs import fields
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Batch, SessionView, State

log = logging.getLogger(__name__)

# Seconds that a run which is being stopped waits for the confirms of what it has published, and for the consumer to
# remove the session; and those of one whose user waits for it.
LAST_CONFIRMS, ABANDON = 2.0, 4.0
HURRIED_CONFIRMS, HURRIED_ABANDON = 0.4, 1.0


class Observer(Protocol):
    """Is told how far the run has come."""

    @property
    def hurried(self) -> bool:
        """Whether somebody waits for the run's end."""

    @property
    def ousted(self) -> bool:
        """Whether another server has the run, or the consumer's ear: the session is no longer this one's to end."""

    def entered(self, state: State) -> None:
        """The run is in this state from now on."""

    def opened(self, publisher: ReconnectingPublisher) -> None:
        """The broker is connected; the publisher's tracker knows what became of every row."""

    def took(self, batch: Batch) -> None:
        """This was read from the file."""

    async def may_publish(self) -> None:
        """Waits while nothing may be published. Raises a kind of PromisePubError when it takes too long."""

    def passed(self, batch: Batch) -> None:
        """Every row of the batch is published."""

    def saw(self, session: SessionView) -> None:
        """The consumer's session is like this."""

    def left_behind(self, session: SessionView | None) -> None:
        """The consumer did not say that it removed the session. None: it may have made one that nobody knows."""


async def carry_out(
    parameters: Parameters,
    consumer: Consumer,
    connection: AbstractAsyncContextManager[ReconnectingPublisher],
    batches: AsyncIterator[Batch],
    observer: Observer,
    session: SessionView | None = None,
) -> SessionView:
    """Runs the file through the protocol and returns the consumer's final counts.

    Goes on with `session` where one is given. The broker is connected before a session is created, so a broker that is
    away leaves none behind. When a step fails or the run is cancelled, the session is removed, within seconds, and the
    error goes on. Raises SessionLost when the rest of the rows takes another session.
    """
    observer.entered(State.NEGOTIATING)
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(connection)
        observer.opened(publisher)
        known = session is not None
        session = session or await _created(consumer, observer)
        talk = _Talk(parameters, consumer, publisher, session, observer, known=known)
        try:
            observer.saw(session)
            await talk.publish(batches)
            await stack.aclose()  # draining may take hours, and needs no broker
            return await talk.drain()
        except BaseException as error:
            await talk.give_up()
            if isinstance(error, QueueGone):
                # Without its name: how often it happens is counted by the words.
                raise SessionLost("The session's queue is gone.") from error
            raise


async def _created(consumer: Consumer, observer: Observer) -> SessionView:
    """Makes a new session. One that came to be although the call failed, or was cancelled, is removed within seconds:
    a run that is cancelled while it comes to be waits a moment for it.
    """
    creating = asyncio.ensure_future(consumer.create())
    try:
        return await finish_task(creating, HURRIED_ABANDON)
    except (ConsumerError, asyncio.CancelledError):
        await _give_back(creating, consumer, observer)
        raise
    finally:
        creating.cancel()


async def _give_back(creating: asyncio.Future[SessionView], consumer: Consumer, observer: Observer) -> None:
    """Removes what a create that is of no use has made, or may have."""
    if not creating.done() or creating.cancelled():
        observer.left_behind(None)
        return
    error = creating.exception()
    session = creating.result() if error is None else None
    if isinstance(error, ConsumerError):
        session = error.last
        if error.unanswered:
            observer.left_behind(None)
    if session is None:
        return
    within = HURRIED_CONFIRMS if observer.hurried else ABANDON

    async def remove(uuid: str) -> bool | None:
        if error and await _has_received(consumer, uuid):
            return None
        return await consumer.abandon(uuid, 0, lambda _: None, within)

    await _see_removed(remove(session.uuid), session, observer)


async def _has_received(consumer: Consumer, uuid: str) -> bool:
    """Tells whether messages came to a session that a bad answer names: then it is not a new one, and somebody else's."""
    with suppress(ConsumerError, TimeoutError):
        async with asyncio.timeout(HURRIED_CONFIRMS):
            return bool((await consumer.get_session(uuid)).received)
    return False


async def abandon_session(consumer: Consumer, session: SessionView, sent: int, observer: Observer) -> None:
    """Removes a session at the consumer, within seconds; tells the observer where it did not say that it did."""
    within = HURRIED_ABANDON if observer.hurried else ABANDON
    removing = consumer.abandon(session.uuid, sent, observer.saw, within)
    await _see_removed(removing, session, observer)


async def _see_removed(removing: Coroutine[Any, Any, bool | None], session: SessionView, observer: Observer) -> None:
    """Waits for a removal; a run that is cancelled meanwhile gives the consumer a moment more.

    The session is told as left behind where that came to False, or to nothing. None: it was not to be removed.
    """
    abandoning = asyncio.ensure_future(removing)
    removed: bool | None = False
    try:
        await finish_task(abandoning, HURRIED_ABANDON)
    finally:
        if abandoning.done():
            removed = abandoning.result()
        if removed:
            log.info("Session removed", extra=fields(session=session.uuid))
        elif removed is False:
            log.warning("Session left behind", extra=fields(session=session.uuid))
            observer.left_behind(session)
        abandoning.cancel()


class _Talk:
    """The steps with one session."""

    def __init__(
        self,
        parameters: Parameters,
        consumer: Consumer,
        publisher: ReconnectingPublisher,
        session: SessionView,
        observer: Observer,
        *,
        known: bool,
    ) -> None:
        self._parameters = parameters
        self._consumer = consumer
        self._publisher = publisher
        self._session = session
        self._uuid = session.uuid
        self._observer = observer
        self._known = known  # the session is an old one

    async def publish(self, batches: AsyncIterator[Batch]) -> None:
        self._publisher.route_to(self._uuid)
        if self._known:
            await self._publisher.check_queue()
        async with AsyncExitStack() as stack:
            if self._parameters.mode is Mode.LIVE:
                await self._process(None)
            self._observer.entered(State.PUBLISHING)
            if self._parameters.mode is Mode.LIVE:
                await stack.enter_async_context(self._followed())
            pacer = Pacer(self._parameters.rate, self._parameters.profile)
            async for batch in batches:
                await self._publish(batch, pacer)
            await self._publisher.settle()

    async def _publish(self, batch: Batch, pacer: Pacer) -> None:
        self._observer.took(batch)
        through = self._publisher.tracker.published
        rows = batch.rows
        if rows and rows[0].number <= through:  # settled before this session, or this process
            rows = [row for row in rows if row.number > through]
        async for piece in pacer.slices(rows):
            await self._observer.may_publish()
            await self._publisher.publish(piece)
        self._observer.passed(batch)

    async def drain(self) -> SessionView:
        self._observer.entered(State.DRAINING)
        if self._parameters.mode is Mode.BATCH:
            await self._process(self._sent)
        final = await self._consumer.remove(self._uuid, self._parameters.timeout, self._sent, self._observer.saw)
        self._observer.saw(final)
        log.info("Session removed", extra=fields(session=self._uuid))
        return final

    @property
    def _sent(self) -> int:
        """Rows of this session that the broker has confirmed."""
        return self._publisher.confirmed_here

    async def _process(self, sent: int | None) -> None:
        mode, timeout = self._parameters.mode, self._parameters.timeout
        try:
            await self._consumer.process(self._uuid, mode, timeout, sent, self._observer.saw)
        except ConsumerComplaint as complaint:
            if not self._known:
                raise
            # An old session may be reading already: what it was asked for before goes on without us.
            with suppress(ConsumerComplaint):
                if (await self._consumer.get_session(self._uuid)).ended is False:
                    return
            raise SessionLost(complaint.message, complaint.last) from complaint

    @asynccontextmanager
    async def _followed(self) -> AsyncIterator[None]:
        """While rows go out, what the consumer makes of them is seen: it is part of the truth if the run fails here."""
        async with background(self._consumer.follow(self._uuid, self._observer.saw)):
            yield

    async def give_up(self) -> None:
        """Ends what was begun, within seconds."""
        try:
            await self._last_confirms()
        finally:
            if not self._observer.ousted:
                await abandon_session(self._consumer, self._session, self._sent, self._observer)

    async def _last_confirms(self) -> None:
        """What is on its way is usually confirmed in milliseconds: wait for it, so that the counts told are right."""
        with suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(HURRIED_CONFIRMS if self._observer.hurried else LAST_CONFIRMS):
                await self._publisher.settle()
