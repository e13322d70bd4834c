"""The two protocols: the order of steps, and nothing else.

Live: create, process, publish, remove. Batch: create, publish, process, remove.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import Protocol

from promise_pub.delivery.confirms import ConfirmTracker
from promise_pub.delivery.pace import Pacer
from promise_pub.delivery.ports import Consumer, Publisher
from promise_pub.errors import BrokerError
from promise_pub.records import Batch, Mode, Parameters, SessionView, State

LAST_CONFIRMS = (
    2.0  # seconds a run that is being stopped waits for the confirms of what it has published
)


class Observer(Protocol):
    """Is told how far the run has come."""

    def entered(self, state: State) -> None:
        """The run is in this state from now on."""

    def opened(self, tracker: ConfirmTracker) -> None:
        """The broker is connected; the tracker knows what became of every row."""

    def took(self, batch: Batch) -> None:
        """This was read from the file."""

    def saw(self, session: SessionView) -> None:
        """The consumer's session is like this."""

    def left_behind(self, session: SessionView) -> None:
        """The run failed and the consumer did not say that it removed the session."""


async def carry_out(
    parameters: Parameters,
    consumer: Consumer,
    connection: AbstractAsyncContextManager[Publisher],
    batches: AsyncIterator[Batch],
    observer: Observer,
) -> SessionView:
    """Runs the file through the protocol and returns the consumer's final counts.

    The broker is connected before the session exists, so a broker that is away leaves no session behind. When a step
    fails or the run is cancelled, the session is removed, within seconds, and the error goes on.
    """
    observer.entered(State.NEGOTIATING)
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(connection)
        observer.opened(publisher.tracker)
        session = await consumer.create()
        try:
            observer.saw(session)
            await _publish_in_turn(parameters, consumer, publisher, session, batches, observer)
            await stack.aclose()  # draining may take hours, and needs no broker
            return await _drain(
                parameters, consumer, session, publisher.tracker.confirmed, observer
            )
        except BaseException:
            try:
                await _last_confirms(publisher)
            finally:
                await _abandon(consumer, session, publisher.tracker.confirmed, observer)
            raise


async def _publish_in_turn(
    parameters: Parameters,
    consumer: Consumer,
    publisher: Publisher,
    session: SessionView,
    batches: AsyncIterator[Batch],
    observer: Observer,
) -> None:
    publisher.route_to(session.uuid)
    if parameters.mode is Mode.LIVE:
        await consumer.process(session.uuid, Mode.LIVE, parameters.timeout, None, observer.saw)
    observer.entered(State.PUBLISHING)
    async with AsyncExitStack() as stack:
        if parameters.mode is Mode.LIVE:
            await stack.enter_async_context(_followed(consumer, session, observer))
        pacer = Pacer(parameters.rate)
        async for batch in batches:
            observer.took(batch)
            async for rows in pacer.slices(batch.rows):
                await publisher.publish(rows)
        await publisher.settle()


@asynccontextmanager
async def _followed(
    consumer: Consumer, session: SessionView, observer: Observer
) -> AsyncIterator[None]:
    """While rows go out, what the consumer makes of them is seen: it is part of the truth if the run fails here."""
    following = asyncio.ensure_future(consumer.follow(session.uuid, observer.saw))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _drain(
    parameters: Parameters, consumer: Consumer, session: SessionView, sent: int, observer: Observer
) -> SessionView:
    observer.entered(State.DRAINING)
    if parameters.mode is Mode.BATCH:
        await consumer.process(session.uuid, Mode.BATCH, parameters.timeout, sent, observer.saw)
    final = await consumer.remove(session.uuid, parameters.timeout, sent, observer.saw)
    observer.saw(final)
    return final


async def _last_confirms(publisher: Publisher) -> None:
    """What is on its way is usually confirmed in milliseconds: wait for it, so that the counts told are right."""
    with suppress(BrokerError, TimeoutError):
        async with asyncio.timeout(LAST_CONFIRMS):
            await publisher.settle()


async def _abandon(consumer: Consumer, session: SessionView, sent: int, observer: Observer) -> None:
    if not await consumer.abandon(session.uuid, sent, observer.saw):
        observer.left_behind(session)
