"""Events taken from a real broker: each once in the journal, and none left in the queue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import aio_pika
import pytest
from aio_pika.connection import make_url

from promise_pub.amqp.connection import url_of
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.journal.bus.taking import BusTaker
from promise_pub.retries import Backoff
from promise_pub.settings.model import RabbitSettings
from tests.contract.journal.conftest import BusUnderTest, message
from tests.fakes import until
from tests.journal.fake_journal import FakeJournal
from tests.services import BrokerUnderTest
from tests.tcp_proxy import proxy_to

SOON = Backoff(0.02, 0.1)


def taker(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> BusTaker:
    return BusTaker(rabbit, bus.settings, journal, journal.name, SOON)


async def is_read(bus: BusUnderTest) -> bool:
    try:
        other = await bus.channel.get_queue(bus.settings.queue)
    except aio_pika.exceptions.ChannelClosed:
        await bus.channel.reopen()
        return False
    return bool((await other.declare()).consumer_count)


async def test_x(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> None:
    one = taker(rabbit, bus, journal)
    async with one.running():
        await asyncio.sleep(0.5)
        await bus.publish(("a.b", message(b"body", message_id="1", headers={"subject": "s"})))
        await until(lambda: journal.events)
        print(journal.events, one.counts)
