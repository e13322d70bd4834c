"""A bus of its own for each test, on a real broker, and a journal in memory."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractExchange

from promise_pub.amqp.connection import url_of
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import RabbitSettings
from tests.journal.fake_journal import FakeJournal


class BusUnderTest:
    """An exchange, the queue of a journal, and a channel of somebody else's."""

    def __init__(self, settings: BusSettings, channel: AbstractChannel) -> None:
        self.settings = settings
        self.channel = channel

    async def exchange(self) -> AbstractExchange:
        return await self.channel.declare_exchange(self.settings.exchange, "topic", durable=True)

    async def publish(self, *messages: tuple[str, aio_pika.Message]) -> None:
        exchange = await self.exchange()
        for topic, message in messages:
            await exchange.publish(message, topic, mandatory=False)

    async def count_ready(self) -> int:
        queue = await self.channel.get_queue(self.settings.queue)
        return (await queue.declare()).message_count or 0


def message(body: bytes = b"{}", **properties: Any) -> aio_pika.Message:
    return aio_pika.Message(body, **properties)


@pytest.fixture
async def bus(rabbit: RabbitSettings) -> AsyncIterator[BusUnderTest]:
    name = uuid.uuid4().hex[:12]
    settings = BusSettings(enabled=True, exchange=f"events-{name}", queue=f"journal-{name}")
    async with await aio_pika.connect(url_of(rabbit)) as connection:
        channel = await connection.channel()
        yield BusUnderTest(settings, channel)
        last = await connection.channel()
        await last.queue_delete(settings.queue)
        await last.exchange_delete(settings.exchange)


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()
