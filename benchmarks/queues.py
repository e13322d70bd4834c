"""The two kinds of queue a row may be published to."""

from __future__ import annotations

from enum import StrEnum

from promise_pub.amqp.connection import connect
from promise_pub.consumer.broker import Broker
from promise_pub.settings.model import RabbitSettings

ANSWER_TIMEOUT = 10.0  # seconds


class Kind(StrEnum):
    """As consumers in the field declare it, and as the bundled consumer does."""

    TRANSIENT = "transient"  # kept in memory: nothing between publisher and broker waits for a disk
    DURABLE = "durable"  # outlives a restart of the broker: every message is written to its disk


async def declare(rabbit: RabbitSettings, queue: str, kind: Kind) -> None:
    """Raises BrokerError."""
    if kind is Kind.DURABLE:
        await Broker(rabbit).declare(queue)
        return
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.queue_declare(queue, timeout=ANSWER_TIMEOUT)
