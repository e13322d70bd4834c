"""Own events on a real broker: each confirmed before the position moves, and none taken back into the journal."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from promise_pub.errors import BrokerRefused, DatabaseUnavailable
from promise_pub.event_records import NewEvent, Source
from promise_pub.features.journal.bus.publishing import BusPublisher
from promise_pub.features.journal.reading import JOURNAL_HEADER
from promise_pub.retries import Backoff
from promise_pub.settings.model import RabbitSettings
from tests.contract.journal.bus.conftest import BusUnderTest
from tests.contract.journal.bus.test_taking import taking
from tests.fakes import until
from tests.journal.fake_journal import FakeJournal
from tests.services import BrokerUnderTest
from tests.tcp_proxy import proxy_to

SOON = Backoff(0.02, 0.1)
AT = datetime(2026, 11, 30, 12, 0, 0, 123_456, tzinfo=UTC)


def fill(journal: FakeJournal, count: int, source: Source = "own", topic: str = "promise-pub.run.ended") -> None:
    for n in range(count):
        journal.add(
            NewEvent(
                key=uuid4(), source=source, topic=topic, body=b"{}", at=AT, subject=f"run {n}", message_id=f"run:e{n}"
            )
        )


@pytest.fixture
async def publisher(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> AsyncIterator[BusPublisher]:
    publisher = BusPublisher(rabbit, bus.settings, journal, SOON)
    async with publisher.running():
        yield publisher


@asynccontextmanager
async def heard(bus: BusUnderTest) -> AsyncIterator[list[AbstractIncomingMessage]]:
    """The messages that somebody else takes from the exchange."""
    messages: list[AbstractIncomingMessage] = []
    queue = await bus.channel.declare_queue(exclusive=True)
    await queue.bind(await bus.exchange(), "#")

    async def take(message: AbstractIncomingMessage) -> None:
        messages.append(message)

    tag = await queue.consume(take, no_ack=True)
    yield messages
    await queue.cancel(tag)


async def test_own_events_are_published_with_what_they_say(
    bus: BusUnderTest, journal: FakeJournal, publisher: BusPublisher
) -> None:
    fill(journal, 3, source="bus")
    fill(journal, 1)
    async with heard(bus) as messages:
        await publisher.publish_up_to(await journal.head())
        await until(lambda: messages)
    (message,) = messages
    assert message.routing_key == "promise-pub.run.ended"
    assert (message.message_id, message.app_id, message.content_type) == ("run:e0", "promise-pub", "application/json")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.timestamp == AT.replace(microsecond=0)
    assert message.headers == {
        "at": "2026-11-30T12:00:00.123456Z",
        "seq": 4,
        "subject": "run 0",
        JOURNAL_HEADER: str(journal.name),
    }
    assert (journal.published, publisher.published) == (4, 1)


async def test_it_goes_on_where_it_left_off(bus: BusUnderTest, journal: FakeJournal, publisher: BusPublisher) -> None:
    fill(journal, 250)
    journal.published = 20
    async with heard(bus) as messages:
        publisher.tell(await journal.head())
        await until(lambda: journal.published == 250)
        publisher.tell(await journal.head())
        fill(journal, 5)
        publisher.tell(await journal.head())
        await until(lambda: journal.published == 255 and len(messages) == 235)
    assert [message.headers["seq"] for message in messages] == [*range(21, 256)]


async def test_after_a_lost_connection_the_rest_is_published(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(journal, 1000)
    async with proxy_to("127.0.0.1", rabbit.port) as proxy, heard(bus) as messages:
        through = replace(rabbit, host="127.0.0.1", port=proxy.port)
        publisher = BusPublisher(through, bus.settings, journal, SOON)
        async with publisher.running():
            proxy.cut_in(50_000)
            publisher.tell(await journal.head())
            await until(lambda: "Own events are not published" in caplog.messages)
            assert journal.published < 1000
            proxy.cut_after = None
            await until(lambda: journal.published == 1000)
        await until(lambda: len({message.headers["seq"] for message in messages}) == 1000)
    assert [text for text in caplog.messages if text.startswith("Own events")] == [
        "Own events are not published",
        "Own events are published again",
    ]


async def test_a_position_that_cannot_be_written_is_written_later(
    journal: FakeJournal, publisher: BusPublisher
) -> None:
    fill(journal, 1)
    head = await journal.head()
    journal.trouble = DatabaseUnavailable()
    publisher.tell(head)
    with pytest.raises(DatabaseUnavailable):
        await publisher.publish_up_to(head)
    journal.trouble = None
    await until(lambda: journal.published == 1)


async def test_what_another_server_publishes_is_not_published(
    bus: BusUnderTest, journal: FakeJournal, publisher: BusPublisher
) -> None:
    fill(journal, 250)
    seen = await journal.head()
    async with heard(bus) as messages:
        journal.others_turn = True
        await publisher.publish_up_to(seen)
        assert (journal.published, publisher.published) == (0, 0)
        journal.others_turn = False
        # Another did since this server looked.
        journal.published = 249
        await publisher.publish_up_to(seen)
        await until(lambda: messages)
    assert [message.headers["seq"] for message in messages] == [250]


async def test_what_comes_back_is_not_taken(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, publisher: BusPublisher
) -> None:
    async with taking(rabbit, bus, journal) as taker:
        fill(journal, 10)
        publisher.tell(await journal.head())
        await until(lambda: taker.counts.own == 10)
        await bus.until_empty()
    assert len(journal.events) == 10


async def test_topics_and_ids_beyond_amqp_do_not_hold_up_the_others(
    bus: BusUnderTest, journal: FakeJournal, publisher: BusPublisher
) -> None:
    fill(journal, 1, topic="\N{CRAB}" * 300)
    fill(journal, 1)
    async with heard(bus) as messages:
        await publisher.publish_up_to(await journal.head())
        await until(lambda: len(messages) == 2)
    assert messages[0].routing_key and messages[0].routing_key.startswith("\N{CRAB}")


async def test_a_user_who_may_not_publish_is_quoted(
    broker_node: BrokerUnderTest, bus: BusUnderTest, journal: FakeJournal
) -> None:
    user = await broker_node.add_user(write="^$")
    fill(journal, 1)
    publisher = BusPublisher(user, bus.settings, journal, SOON)
    with pytest.raises(BrokerRefused, match="access to exchange"):
        await publisher.publish_up_to(await journal.head())
    assert (journal.published, publisher.published) == (0, 0)
