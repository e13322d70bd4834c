"""Connections to RabbitMQ, and what is asked on them; every error is a kind of BrokerError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from aio_pika.connection import make_url
from yarl import URL

from promise_pub.addresses import join_host_port
from promise_pub.amqp.aiormq_internals import FrameChannel, TappedConnection
from promise_pub.amqp.replies import end_of_request, reason, refusal, translated
from promise_pub.errors import BrokerError, BrokerUnreachable
from promise_pub.settings.model import RabbitSettings
from promise_pub.tls import client_context

CONNECT_TIMEOUT = 10.0  # seconds for TCP, TLS and handshake; and for opening the channel
ANSWER_TIMEOUT = 10.0  # seconds for a broker that is there to answer one request
CLOSE_TIMEOUT = 1.0  # seconds; a broker that does not answer a close is left to its heartbeat

C = TypeVar("C", bound=FrameChannel)


@asynccontextmanager
async def connect(settings: RabbitSettings) -> AsyncIterator[TappedConnection]:
    """Opens a connection, which is closed with the block. Raises BrokerUnreachable or BrokerRefused."""
    context = await client_context(settings.ca_certificate) if settings.ssl else None
    connection = TappedConnection(url_of(settings), tls=settings.ssl, context=context)
    with translated(partial(_unreachable, settings)):
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await connection.connect()
    try:
        yield connection
    finally:
        with suppress(TimeoutError):
            await connection.close(timeout=CLOSE_TIMEOUT)


@asynccontextmanager
async def open_channel(settings: RabbitSettings, make: Callable[[TappedConnection], C]) -> AsyncIterator[C]:
    """Opens the channel that `make` makes, on a connection of its own. Raises BrokerUnreachable or BrokerRefused."""
    async with connect(settings) as connection:
        channel = make(connection)
        with translated(partial(_unreachable, settings)):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await channel.open()
        connection.tap(channel.take_frames)
        yield channel


async def probe(settings: RabbitSettings) -> None:
    """Connects and disconnects. Raises BrokerUnreachable or BrokerRefused."""
    async with connect(settings):
        return


@asynccontextmanager
async def request(judge: Callable[[BaseException | None], BrokerError] = end_of_request) -> AsyncIterator[None]:
    """Limits the time for one request, and raises what `judge` makes of its failure: a kind of BrokerError."""
    with translated(judge):
        async with asyncio.timeout(ANSWER_TIMEOUT):
            yield


def url_of(settings: RabbitSettings) -> URL:
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


def _unreachable(settings: RabbitSettings, error: BaseException | None) -> BrokerError:
    """Returns the reason for which a connection or its channel could not be opened."""
    where = join_host_port(settings.host, settings.port)
    who = f"user {settings.user} on vhost {settings.vhost}"
    if refused := refusal(error, f"The broker at {where} refused {who}"):
        return refused
    if isinstance(error, TimeoutError) and not str(error):
        why = f"no answer within {CONNECT_TIMEOUT:g} s"
    else:
        why = reason(error) or "it hung up"
    return BrokerUnreachable(f"The broker at {where} cannot be reached: {why}")
