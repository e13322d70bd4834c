"""Exchange, queue and bindings of the bus: declared, or looked for where `[bus] declare = no`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import aiormq.exceptions
from aiormq.abc import AbstractChannel, ArgumentsType

from promise_pub.amqp.connection import connect, request
from promise_pub.amqp.replies import end_of_connection, refusal
from promise_pub.errors import BrokerError, BrokerRefused
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import RabbitSettings

# A server that was forgotten must not fill the disk of the broker that others are tested with.
QUEUE_ARGUMENTS: ArgumentsType = {
    "x-queue-type": "classic",
    "x-expires": 7 * 24 * 3600 * 1000,  # milliseconds without a reader
    "x-max-length-bytes": 256 * 1024**2,
    "x-overflow": "drop-head",
}

_FAULTS: Mapping[type[BaseException], str] = {
    aiormq.exceptions.ChannelAccessRefused: (
        "cannot be declared by user {user}: grant it the right, or declare it and set [bus] declare = no"
    ),
    aiormq.exceptions.ChannelNotFoundEntity: "does not exist: declare it, or set [bus] declare = yes",
    aiormq.exceptions.ChannelLockedResource: "belongs to another connection alone: name another",
    aiormq.exceptions.ChannelPreconditionFailed: "exists and is another: delete it, or name another",
}


async def declare_bus(rabbit: RabbitSettings, bus: BusSettings) -> None:
    """Declares all of it, on a connection of its own. Raises a kind of BrokerError, in words of the configuration."""
    async with connect(rabbit) as connection:
        async with request():
            channel = await connection.channel(publisher_confirms=False)
        await declare_exchange(channel, rabbit, bus)
        async with _naming(f"[bus] queue = {bus.queue}", rabbit):
            await channel.queue_declare(
                bus.queue,
                passive=not bus.declare,
                durable=True,
                arguments=QUEUE_ARGUMENTS if bus.declare else None,
            )
        for binding in bus.bindings.split() if bus.declare else ():
            async with _naming(f"[bus] bindings = {binding}", rabbit):
                await channel.queue_bind(bus.queue, bus.exchange, binding)


async def declare_exchange(channel: AbstractChannel, rabbit: RabbitSettings, bus: BusSettings) -> None:
    """Declares the exchange alone. A fault closes the channel."""
    async with _naming(f"[bus] exchange = {bus.exchange}", rabbit):
        await channel.exchange_declare(bus.exchange, exchange_type="topic", passive=not bus.declare, durable=True)


@asynccontextmanager
async def _naming(option: str, rabbit: RabbitSettings) -> AsyncIterator[None]:
    """Names the option that a request is about in its error."""
    async with request(partial(_judge, option, rabbit.user)):
        try:
            yield
        except (ValueError, TypeError) as error:
            # A name of more than 255 bytes is not sent at all.
            raise BrokerRefused(f"{option} cannot be used: {error}") from error


def _judge(option: str, user: str, error: BaseException | None) -> BrokerError:
    fault = next((words for kind, words in _FAULTS.items() if isinstance(error, kind)), "was refused").format(user=user)
    return refusal(error, f"{option} {fault}") or end_of_connection(error)
