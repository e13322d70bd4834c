"""A bus of its own for each test, on a real broker, and a journal in memory."""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractExchange
from pamqp.commands import Queue

from promise_pub.amqp.aiormq_internals import FrameChannel, TappedConnection
from promise_pub.amqp.connection import open_channel, url_of
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import RabbitSettings
from tests.journal.fake_journal import FakeJournal


class BusUnderTest:
    """An exchange, the queue of a journal, and a channel of somebody else's."""

    def __init__(self, rabbit: RabbitSettings, settings: BusSettings, channel: AbstractChannel) -> None:
        self.rabbit = rabbit
        self.settings = settings
        self.channel = channel

    async def exchange(self) -> AbstractExchange:
        return await self.channel.declare_exchange(self.settings.exchange, "topic", durable=True)

    async def publish(self, *messages: tuple[str, aio_pika.Message]) -> None:
        exchange = await self.exchange()
        for topic, message in messages:
            await exchange.publish(message, topic, mandatory=False)

    async def publish_raw(self, topic: bytes, message_id: bytes = b"") -> None:
        """Publishes what aio-pika does not: names that are not UTF-8, and a message without an id."""
        exchange = self.settings.exchange.encode()
        method = struct.pack(">HHH", 60, 40, 0) + _short(exchange) + _short(topic) + b"\0"
        header = struct.pack(">HHQH", 60, 0, 2, 1 << 7 if message_id else 0)
        if message_id:
            header += _short(message_id)
        frames = ((1, method), (2, header), (3, b"{}"))
        async with open_channel(self.rabbit, _Writer) as channel:
            await channel.write(b"".join(struct.pack(">BHI", n, 1, len(one)) + one + b"\xce" for n, one in frames))

    async def count_ready(self) -> int:
        return (await self._look()).message_count or 0

    async def until_read(self, by: int = 1) -> None:
        """Waits until so many read the queue."""
        await self._until(lambda queue: queue.consumer_count == by)

    async def until_empty(self) -> None:
        await self._until(lambda queue: not queue.message_count)

    async def _until(self, true: Callable[[Queue.DeclareOk], bool]) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    if true(await self._look()):
                        return
                except aio_pika.exceptions.ChannelNotFoundEntity:
                    await self.channel.reopen()
                await asyncio.sleep(0.05)

    async def _look(self) -> Queue.DeclareOk:
        channel = await self.channel.get_underlay_channel()
        return await channel.queue_declare(self.settings.queue, passive=True)


class _Writer(FrameChannel):
    def __init__(self, connection: TappedConnection) -> None:
        super().__init__(connection, publisher_confirms=False)

    def take_frames(self, buffer: bytearray) -> int:
        return 0


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def message(body: bytes = b"{}", **properties: Any) -> aio_pika.Message:
    return aio_pika.Message(body, **properties)


@pytest.fixture
async def bus(rabbit: RabbitSettings) -> AsyncIterator[BusUnderTest]:
    name = uuid.uuid4().hex[:12]
    settings = BusSettings(enabled=True, exchange=f"events-{name}", queue=f"journal-{name}")
    async with await aio_pika.connect(url_of(rabbit)) as connection:
        channel = await connection.channel()
        yield BusUnderTest(rabbit, settings, channel)
        last = await connection.channel()
        await last.queue_delete(settings.queue)
        await last.exchange_delete(settings.exchange)


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()
