"""Events taken from a real broker: each once in the journal, and none left in the queue."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aio_pika
import pytest

from promise_pub.amqp.connection import url_of
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.journal.bus.taking import MAX_TAKEN, BusTaker
from promise_pub.features.journal.reading import CUT, HEADERS_CUT, JOURNAL_HEADER, MAX_EVENT
from promise_pub.retries import Backoff
from promise_pub.settings.model import RabbitSettings
from tests.contract.journal.bus.conftest import BusUnderTest, message
from tests.fakes import until
from tests.journal.fake_journal import FakeJournal
from tests.tcp_proxy import proxy_to

SOON = Backoff(0.02, 0.1)


def make_taker(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> BusTaker:
    return BusTaker(rabbit, bus.settings, journal, journal.name, SOON)


@asynccontextmanager
async def taking(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> AsyncIterator[BusTaker]:
    """A taker that reads."""
    taker = make_taker(rabbit, bus, journal)
    async with taker.running():
        await bus.until_read()
        yield taker


async def test_every_event_is_in_the_journal_once_and_acknowledged(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal
) -> None:
    """Several publishers, in any order, each event twice; the connection is cut and the database away at random moments."""
    numbers = [*range(20_000)] * 2
    random.shuffle(numbers)
    async with (
        proxy_to("127.0.0.1", rabbit.port) as proxy,
        taking(replace(rabbit, host="127.0.0.1", port=proxy.port), bus, journal) as taker,
        asyncio.TaskGroup() as publishers,
    ):

        async def publish(part: list[int]) -> None:
            async with await aio_pika.connect(url_of(rabbit)) as connection:
                exchange = await (await connection.channel()).get_exchange(bus.settings.exchange)
                for start in range(0, len(part), 200):
                    await asyncio.gather(
                        *(
                            exchange.publish(message(b"%d" % n, message_id=f"id-{n}", app_id="app"), f"t.{n % 20}")
                            for n in part[start : start + 200]
                        )
                    )

        async def disturb() -> None:
            for moment in range(8):
                await asyncio.sleep(random.uniform(0.2, 0.8))
                if moment % 2:
                    proxy.cut()
                    continue
                journal.trouble = DatabaseUnavailable()
                await asyncio.sleep(0.3)
                journal.trouble = None

        publishing = [publishers.create_task(publish(numbers[first::4])) for first in range(4)]
        await asyncio.gather(disturb(), *publishing)
        await until(lambda: len(journal.events) == 20_000, within=120)
        await bus.until_empty()
        assert sorted(int(event.body) for event in journal.events) == [*range(20_000)]
        assert {event.topic for event in journal.events} == {f"t.{n}" for n in range(20)}
        # The last of them are still in hand when the queue has none left to hand out.
        await until(lambda: taker.counts.added + taker.counts.known >= 40_000)
        assert max(journal.batches) <= 1000


async def test_the_next_batch_is_read_while_one_is_appended(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal
) -> None:
    journal.seconds = 60
    async with taking(rabbit, bus, journal) as taker:
        await bus.publish(*(("a", message(message_id=str(n))) for n in range(MAX_TAKEN + 1)))
        await until(lambda: taker.counts.taken == MAX_TAKEN)
        assert await bus.count_ready() == 1, "no more are in hand"
    assert not journal.events


async def test_while_the_database_is_away_nothing_is_acknowledged_and_it_is_said_once(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with taking(rabbit, bus, journal):
        journal.trouble = DatabaseUnavailable("It is away")
        await bus.publish(*(("a", message(message_id=str(n))) for n in range(1500)))
        await until(lambda: "Events of the bus wait" in caplog.messages)
        await asyncio.sleep(1)
        assert await bus.count_ready() == 500, "those in hand are the prefetch"
        journal.trouble = None
        await until(lambda: len(journal.events) == 1500)
    assert caplog.messages.count("Events of the bus wait") == 1
    assert caplog.messages.count("Events of the bus are appended again") == 1


async def test_a_taker_that_ends_while_the_database_is_away_gives_everything_back(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal
) -> None:
    journal.trouble = DatabaseUnavailable()
    async with taking(rabbit, bus, journal):
        await bus.publish(*(("a", message(message_id=str(n))) for n in range(10)))
    journal.trouble = None
    async with taking(rabbit, bus, journal):
        await until(lambda: len(journal.events) == 10)


async def test_no_message_is_requeued_for_ever(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.refuses = lambda event: event.body == b"refuse me"
    deep: dict[str, object] = {"end": True}
    for _ in range(100):
        deep = {"in": deep}
    poison = {
        "empty": message(b"", message_id="1"),
        "large": message(b"x" * 1024**2, message_id="2"),
        "body.not.utf8": message(b"\xff\xfe\0", message_id="3"),
        "headers": message(headers={f"h{n}": n for n in range(10_000)}, message_id="4"),
        "id.twice": message(message_id="5", app_id="app"),
        "forged": message(headers={JOURNAL_HEADER: str(journal.name)}, message_id="6"),
        "another.journal": message(headers={JOURNAL_HEADER: "x"}, message_id="7"),
        "t" * 255: message(message_id="8"),
        "." * 255: message(message_id="9"),
        "id.255": message(message_id="i" * 255),
        "deep": message(headers={"deep": deep}, message_id="11"),
        "nul": message(message_id="1\x002", headers={"a\0": "b\0"}),
        "refused": message(b"refuse me", message_id="12"),
    }
    async with taking(rabbit, bus, journal) as taker:
        await bus.publish(*poison.items())
        await bus.publish(("id.twice", poison["id.twice"]))
        await bus.publish_raw(b"\xff.topic", b"\xff-id")
        for _ in range(2):
            await bus.publish_raw(b"no.id")
        await until(lambda: taker.counts.taken == len(poison) + 4)
        await bus.until_empty()
    counts = taker.counts
    assert (counts.own, counts.known, counts.refused, counts.cut, counts.headers_cut) == (1, 1, 1, 1, 2)
    assert counts.without_id == 2 and counts.added == len(journal.events) == counts.taken - 3
    events = {event.topic: event for event in journal.events}
    assert (events["large"].body, events["large"].headers[CUT]) == (b"", 1024**2)
    assert events["headers"].headers.keys() == events["deep"].headers.keys() == {HEADERS_CUT}
    assert events["\N{REPLACEMENT CHARACTER}.topic"].message_id == r"\xff-id"
    assert events["body.not.utf8"].body == b"\xff\xfe\0"
    assert not any("refuse me" in str(vars(record)) for record in caplog.records)
    refused = next(record for record in caplog.records if "refused" in record.message)
    assert vars(refused)["fields"] == {"events": 1, "topic": "refused", "size": 9}


async def test_two_takers_share_a_queue(rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal) -> None:
    async with taking(rabbit, bus, journal) as one, make_taker(rabbit, bus, journal).running():
        await bus.until_read(by=2)
        await bus.publish(*(("a", message(message_id=str(n))) for n in range(3000)))
        await until(lambda: len(journal.events) == 3000)
        await bus.until_empty()
    assert 0 < one.counts.taken < 3000


async def test_a_body_of_the_longest_kind_is_kept(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal
) -> None:
    async with taking(rabbit, bus, journal):
        await bus.publish(*(("a", message(b"x" * size, message_id=str(size))) for size in (MAX_EVENT, MAX_EVENT + 1)))
        await until(lambda: len(journal.events) == 2)
    assert [len(event.body) for event in journal.events] == [MAX_EVENT, 0]


async def test_a_broker_that_goes_and_comes_back_is_told_of_once(
    rabbit: RabbitSettings,
    bus: BusUnderTest,
    journal: FakeJournal,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("promise_pub.features.journal.bus.taking.STEADY", 0.2)
    async with (
        proxy_to("127.0.0.1", rabbit.port) as proxy,
        taking(replace(rabbit, host="127.0.0.1", port=proxy.port), bus, journal),
    ):
        proxy.cut_in(0)
        proxy.cut()
        await asyncio.sleep(1)
        proxy.cut_after = None
        await until(lambda: "The bus is read again" in caplog.messages)
    assert caplog.messages.count("The bus cannot be read") == 1
