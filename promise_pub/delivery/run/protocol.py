"""The two protocols: the order of steps with one session.

Live: create, process, publish, remove. Batch: create, publish, process, remove.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from promise_pub.concurrency import background, finish_task
from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.ports import Consumer
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.pacing import RateLimiter
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.errors import BrokerError, ConsumerComplaint, ConsumerError, QueueGone, SessionLost
from promise_pub.logs import fields
from promise_pub.parameters import Mode
from promise_pub.records import Batch, SessionView, State

log = logging.getLogger(__name__)

# Seconds that a run which is being stopped waits for the confirms of what it has published, and for the consumer to
# remove the session; and the same where a user waits for the run's end.
LAST_CONFIRMS, ABANDON = 2.0, 4.0
HURRIED_CONFIRMS, HURRIED_ABANDON = 0.4, 1.0


async def run_session(
    run: ActiveRun,
    consumer: Consumer,
    connection: AbstractAsyncContextManager[ReconnectingPublisher],
    batches: AsyncIterator[Batch],
    session: SessionView | None = None,
) -> SessionView:
    """Takes the run's file through the protocol and returns the consumer's final counts.

    Continues `session` where one is given. The broker is connected before a session is created, so a broker that is
    away leaves none behind. When a step fails or the run is cancelled, the session is removed within seconds, and the
    error is raised. Raises SessionLost when the rest of the rows needs another session.
    """
    run.clock.enter(State.NEGOTIATING)
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(connection)
        run.publisher = publisher
        known = session is not None
        session = session or await _create_session(run, consumer)
        steps = _SessionRun(run, consumer, publisher, session, known)
        try:
            run.sessions.see(session)
            await steps.publish(batches)
            await stack.aclose()  # draining may take hours, and needs no broker
            return await steps.drain()
        except BaseException as error:
            await steps.give_up()
            if isinstance(error, QueueGone):
                # The queue is not named: equal reasons are counted together.
                raise SessionLost("The session's queue is gone.") from error
            raise


async def _create_session(run: ActiveRun, consumer: Consumer) -> SessionView:
    """Makes a new session. Where the call fails or is cancelled and a session was made all the same, it is removed
    within seconds: a run that is cancelled meanwhile waits a moment for the answer.
    """
    creating = asyncio.ensure_future(consumer.create())
    try:
        return await finish_task(creating, HURRIED_ABANDON)
    except (ConsumerError, asyncio.CancelledError):
        await _undo_create(creating, run, consumer)
        raise
    finally:
        creating.cancel()


async def _undo_create(creating: asyncio.Future[SessionView], run: ActiveRun, consumer: Consumer) -> None:
    """Removes the session of a failed or cancelled create, or notes that there may be one."""
    if not creating.done() or creating.cancelled():
        run.sessions.note_left_behind(None)
        return
    error = creating.exception()
    session = creating.result() if error is None else None
    if isinstance(error, ConsumerError):
        session = error.last
        if error.unanswered:
            run.sessions.note_left_behind(None)
    if session is None:
        return
    within = HURRIED_CONFIRMS if run.stop_reason is StopReason.USER else ABANDON

    async def remove(uuid: str) -> bool | None:
        if error and await _has_received(consumer, uuid):
            return None
        return await consumer.abandon(uuid, 0, lambda _: None, within)

    await _await_removal(remove(session.uuid), run, session)


async def _has_received(consumer: Consumer, uuid: str) -> bool:
    """Returns True when a session that a bad answer names has messages: it is not a new one, and not this run's."""
    with suppress(ConsumerError, TimeoutError):
        async with asyncio.timeout(HURRIED_CONFIRMS):
            return bool((await consumer.get_session(uuid)).received)
    return False


async def abandon_session(run: ActiveRun, consumer: Consumer, session: SessionView, sent: int = 0) -> None:
    """Removes a session at the consumer, within seconds, or notes that it was left behind."""
    within = HURRIED_ABANDON if run.stop_reason is StopReason.USER else ABANDON
    removing = consumer.abandon(session.uuid, sent, run.sessions.see, within)
    await _await_removal(removing, run, session)


async def _await_removal(removing: Coroutine[Any, Any, bool | None], run: ActiveRun, session: SessionView) -> None:
    """Waits for a removal; where the run is cancelled meanwhile, a moment longer.

    The session is noted as left behind unless `removing` returns True, or None: it was not to be removed.
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
            run.sessions.note_left_behind(session)
        abandoning.cancel()


@dataclass(frozen=True, slots=True)
class _SessionRun:
    """The steps with one session. `known` is True for the session of an earlier turn."""

    run: ActiveRun
    consumer: Consumer
    publisher: ReconnectingPublisher
    session: SessionView
    known: bool

    async def publish(self, batches: AsyncIterator[Batch]) -> None:
        self.publisher.route_to(self.session.uuid)
        if self.known:
            await self.publisher.check_queue()
        async with AsyncExitStack() as stack:
            if self.run.parameters.mode is Mode.LIVE:
                await self._process(None)
            self.run.clock.enter(State.PUBLISHING)
            if self.run.parameters.mode is Mode.LIVE:
                # The consumer's counts are part of the report if the run fails meanwhile.
                following = self.consumer.follow(self.session.uuid, self.run.sessions.see)
                await stack.enter_async_context(background(following))
            limiter = RateLimiter(self.run.parameters.rate, self.run.parameters.profile)
            async for batch in batches:
                await self._publish(batch, limiter)
            await self.publisher.settle()

    async def _publish(self, batch: Batch, limiter: RateLimiter) -> None:
        self.run.note_read(batch)
        through = self.publisher.tracker.published
        rows = batch.rows
        if rows and rows[0].number <= through:  # settled by an earlier session or process
            rows = [row for row in rows if row.number > through]
        async for piece in limiter.slices(rows):
            await self.run.may_publish()
            await self.publisher.publish(piece)
        self.run.note_published(batch)

    async def drain(self) -> SessionView:
        self.run.clock.enter(State.DRAINING)
        if self.run.parameters.mode is Mode.BATCH:
            await self._process(self.publisher.confirmed_here)
        final = await self.consumer.remove(
            self.session.uuid, self.run.parameters.timeout, self.publisher.confirmed_here, self.run.sessions.see
        )
        self.run.sessions.see(final)
        log.info("Session removed", extra=fields(session=self.session.uuid))
        return final

    async def _process(self, sent: int | None) -> None:
        mode, timeout = self.run.parameters.mode, self.run.parameters.timeout
        try:
            await self.consumer.process(self.session.uuid, mode, timeout, sent, self.run.sessions.see)
        except ConsumerComplaint as complaint:
            if not self.known:
                raise
            # The session may be reading already, as an earlier turn asked it to: that needs no second request.
            with suppress(ConsumerComplaint):
                if (await self.consumer.get_session(self.session.uuid)).ended is False:
                    return
            raise SessionLost(complaint.message, complaint.last) from complaint

    async def give_up(self) -> None:
        """Removes the session within seconds, unless it may be another server's by now."""
        try:
            await self._wait_for_last_confirms()
        finally:
            if not self.run.evicted:
                await abandon_session(self.run, self.consumer, self.session, self.publisher.confirmed_here)

    async def _wait_for_last_confirms(self) -> None:
        """Waits for rows on their way, which are usually confirmed in milliseconds, so that the counts are right."""
        with suppress(BrokerError, TimeoutError):
            hurried = self.run.stop_reason is StopReason.USER
            async with asyncio.timeout(HURRIED_CONFIRMS if hurried else LAST_CONFIRMS):
                await self.publisher.settle()
