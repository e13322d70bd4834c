"""What the bundled consumer promises beyond the contract: extensions, complaints, sessions nobody removes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiormq.exceptions
import pytest

from promise_pub import db
from promise_pub.amqp.connection import connect
from promise_pub.consumer import sessions as module
from promise_pub.consumer.broker import EXPIRES, Broker
from promise_pub.consumer.saver import Saver
from promise_pub.consumer.sessions import ConsumerSessions
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.errors import BadParameter
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import (
    PATIENCE,
    ConsumerUnderTest,
    body,
    bundled,
    database_connection,
    delete_queue,
    employees,
    people,
    publish,
    queue_exists,
)
from tests.fakes import until

FOREVER = 3600  # seconds of idle timeout: who waits for it runs into the client's limit and fails


@pytest.fixture
async def consumer(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[ConsumerUnderTest]:
    async with bundled(rabbit, database) as consumer:
        yield consumer


def counts(session: dict[str, Any]) -> tuple[int, int, int, int]:
    return session["checksum"], session["saved"], session["duplicates"], session["invalid"]


def not_saved(session: dict[str, Any]) -> tuple[str, str]:
    return session["duplicate_rows"], session["invalid_rows"]


def written(numbers: set[int]) -> str:
    ranges = RowRanges()
    for number in numbers:
        ranges.add(number)
    return str(ranges)


async def test_its_queue_is_durable_and_expires(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    async with connect(rabbit) as connection:
        channel = await connection.channel()
        await channel.queue_declare(uuid, durable=True, arguments={"x-expires": EXPIRES})
        with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
            await channel.queue_declare(uuid, durable=True)
    assert EXPIRES > 10 * 3600 * 1000


async def test_batch_ends_as_soon_as_all_rows_are_there(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(1200))
    assert (await consumer.process(uuid, "batch", FOREVER, sent=1200)).text == "OK"
    assert counts(await consumer.remove(uuid, sent=1200)) == (1200, 1200, 0, 0)


async def test_live_ends_as_soon_as_all_rows_are_there(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", FOREVER)
    await publish(rabbit, uuid, people(100))
    assert counts(await consumer.remove(uuid, sent=100)) == (100, 100, 0, 0)


async def test_remove_waits_for_rows_still_to_come(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", FOREVER)
    await publish(rabbit, uuid, people(10))
    removal = asyncio.create_task(consumer.remove(uuid, sent=20))
    await consumer.until(uuid, lambda session: session["saved"] == 10)
    assert not removal.done()
    await publish(rabbit, uuid, people(10, first=11), [f"run:{n}" for n in range(11, 21)])
    assert counts(await removal) == (20, 20, 0, 0)


async def test_nothing_sent_is_complete_at_once(consumer: ConsumerUnderTest) -> None:
    uuid = await consumer.create()
    assert (await consumer.process(uuid, "batch", FOREVER, sent=0)).text == "OK"


async def test_a_row_published_again_counts_once_among_those_sent(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    rows = people(3)
    uuid = await consumer.create()
    await publish(
        rabbit,
        uuid,
        [rows[0], rows[0], rows[1], rows[0], rows[2]],
        [f"run:{n}" for n in (1, 1, 2, 1, 3)],
    )
    await consumer.process(uuid, "batch", FOREVER, sent=3)
    final = await consumer.remove(uuid, sent=3)
    assert counts(final) == (5, 3, 2, 0)
    assert not_saved(final) == ("", ""), "each row was saved"
    assert len(await employees(database)) == 3


async def test_rows_not_saved_are_told_by_number(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    """In three batches: rows whose mail is in the table, that repeat the row before, and that are of no use."""
    async with database_connection(database) as connection:
        await connection.executemany(
            "INSERT INTO employees (name, mail) VALUES ('Old', $1)", [(f"{n}@x",) for n in range(5, 2501, 5)]
        )
        await connection.execute("ALTER TABLE employees ADD CHECK (mail <> '2499@x')")
    unusable, refused = {1, 1000, 1001}, {2499}
    rows = [body(f"Name {n}", f"{n - (1302 <= n < 2000 and n % 2)}@x") for n in range(1, 2501)]
    for n in unusable:
        rows[n - 1] = b'{"Mail": "spelt@wrong"}'
    uuid = await consumer.create()
    await publish(rabbit, uuid, rows)
    await consumer.process(uuid, "batch", FOREVER, sent=2500)
    final = await consumer.remove(uuid, sent=2500)
    saved = {int(name.removeprefix("Name ")) for name, _ in await employees(database) if name != "Old"}
    existing = set(range(1, 2501)) - saved - unusable - refused
    assert len(existing) > 700, "both kinds of repeats are among them"
    assert counts(final) == (2500, len(saved), len(existing), 4)
    assert not_saved(final) == (written(existing), written(unusable | refused))


async def test_messages_that_are_not_of_one_run_have_no_numbers_to_tell(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, [*people(1), b"{}", *people(1)], ["run:1", "run:2", "other:1"])
    await consumer.process(uuid, "batch", 0)
    final = await consumer.remove(uuid)
    assert counts(final) == (3, 1, 1, 1)
    assert not {"rows", "duplicate_rows", "invalid_rows"} & final.keys()


async def test_messages_without_an_id_are_rows_too(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    rows = people(3)
    uuid = await consumer.create()
    await publish(rabbit, uuid, [b"not a row", *rows, rows[0]], [None] * 5)
    await consumer.process(uuid, "batch", FOREVER, sent=4)
    assert counts(await consumer.remove(uuid, sent=4)) == (5, 3, 1, 1)


async def test_remove_reads_what_came_after_the_idle_timeout(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", 0)
    await consumer.until(uuid, lambda session: session["ended"] > session["started"])
    await publish(rabbit, uuid, people(20))
    assert counts(await consumer.remove(uuid, sent=20)) == (20, 20, 0, 0)


async def test_remove_does_not_wait_for_rows_that_are_nowhere(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(5))
    await consumer.process(uuid, "batch", 0)
    assert counts(await consumer.remove(uuid, sent=9)) == (5, 5, 0, 0)


async def test_remove_of_a_session_never_processed_answers(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(5))
    final = await consumer.remove(uuid, sent=5)
    assert counts(final) == (0, 0, 0, 0) and final["ended"] > final["started"]


async def test_remove_asked_twice_at_once_answers_both(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", 1)
    await publish(rabbit, uuid, people(5))
    first, second = await asyncio.gather(consumer.remove(uuid), consumer.remove(uuid))
    assert first == second and counts(first) == (5, 5, 0, 0)


async def test_what_is_no_row_is_counted_and_harms_no_other(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    bad = [
        b"", b"\xff\xfe", b"{", b"[]", b"null", b'"text"', b"{}", b'{"name": "x"}', b'{"mail": "x"}',
        b'{"name": 1, "mail": "x"}', b'{"name": "x", "mail": null}', b'{"name": "\\u0000", "mail": "x"}',
        b'{"name": "\\ud800", "mail": "x"}', body("x" * 128, "long"), body("long", "x" * 128), b"[" * 100_000,
        b"9" * 10_000, '{"name": "x", "mail": "y"}'.encode("utf-16"),
    ]  # fmt: skip
    uuid = await consumer.create()
    await publish(rabbit, uuid, [body("first", "1@x"), *bad, body("x" * 127, "2@x")])
    await consumer.process(uuid, "batch", FOREVER, sent=len(bad) + 2)
    assert counts(await consumer.remove(uuid)) == (len(bad) + 2, 2, 0, len(bad))
    assert [mail for _, mail in await employees(database)] == ["1@x", "2@x"]


@pytest.mark.parametrize(
    "query",
    [
        {"mode": "fast", "timeout": 1},
        {"mode": "", "timeout": 1},
        {"mode": "live"},
        {"mode": "live", "timeout": "abc"},
        {"mode": "live", "timeout": -1},
        {"mode": "live", "timeout": "1.5"},
        {"mode": "live", "timeout": "\u0661"},
        {"mode": "live", "timeout": 99_999_999},
        {"mode": "live", "timeout": "9" * 5000},
        {"mode": "batch", "timeout": 1, "sent": -1},
        {"mode": "batch", "timeout": 1, "sent": "many"},
    ],
    ids=str,
)
async def test_a_bad_parameter_is_a_complaint_and_starts_nothing(
    consumer: ConsumerUnderTest, query: dict[str, Any]
) -> None:
    uuid = await consumer.create()
    answer = await consumer.get("/process/", uuid=uuid, **query)
    assert answer.complains() and answer.text != "OK"
    assert (await consumer.process(uuid, "batch", 0)).text == "OK"


async def test_a_session_is_processed_once_at_a_time(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", FOREVER)
    answer = await consumer.process(uuid, "live", FOREVER)
    assert answer.complains() and "already" in answer.text
    await publish(rabbit, uuid, people(3))
    assert counts(await consumer.remove(uuid, sent=3)) == (3, 3, 0, 0)


async def test_a_session_can_be_processed_again(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(3))
    await consumer.process(uuid, "batch", 0)
    await publish(rabbit, uuid, people(3, first=3), ["run:3", "run:4", "run:5"])
    await consumer.process(uuid, "batch", 0)
    assert counts(await consumer.remove(uuid)) == (6, 5, 1, 0)


async def test_batch_goes_on_when_its_client_hangs_up(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    waiting = asyncio.create_task(consumer.process(uuid, "batch", FOREVER, sent=3))
    await publish(rabbit, uuid, people(2))
    await consumer.until(uuid, lambda session: session["saved"] == 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await publish(rabbit, uuid, people(1, first=3), ["run:3"])
    await consumer.until(uuid, lambda session: session["saved"] == 3 and session["ended"] > session["started"])


async def test_a_session_nobody_removes_is_forgotten_with_its_queue(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with db.open_pool(database, max_size=2) as pool:
        sessions = ConsumerSessions(Broker(rabbit), Saver(pool), forget_after=0)
        uuid = (await sessions.create()).uuid
        looking = asyncio.create_task(sessions.sweep(every=0.05))
        async with asyncio.timeout(PATIENCE):
            await until_gone(rabbit, uuid)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await sessions.stop()
        with pytest.raises(BadParameter, match="Not a valid uuid"):
            sessions.get(uuid)


async def test_a_session_whose_queue_is_gone_is_forgotten_too(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with db.open_pool(database, max_size=2) as pool:
        sessions = ConsumerSessions(Broker(rabbit), Saver(pool), forget_after=0)
        uuid = (await sessions.create()).uuid
        await delete_queue(rabbit, uuid)
        looking = asyncio.create_task(sessions.sweep(every=0.05))
        await until(lambda: uuid not in sessions._tracked)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await sessions.stop()


async def until_gone(rabbit: RabbitSettings, queue: str) -> None:
    while True:
        if not await queue_exists(rabbit, queue):
            return
        await asyncio.sleep(0.05)


async def test_a_session_whose_queue_fills_is_not_forgotten(
    rabbit: RabbitSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes as the test says: a row comes every nine minutes, and ten without one are too many."""
    minutes = 0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 60.0 * minutes))
    async with db.open_pool(database, max_size=2) as pool:
        sessions = ConsumerSessions(Broker(rabbit), Saver(pool), forget_after=600)
        uuid = (await sessions.create()).uuid
        looking = asyncio.create_task(sessions.sweep(every=0.01))
        for number in range(1, 6):
            await publish(rabbit, uuid, people(1), [f"run:{number}"])
            await until(lambda number=number: sessions._tracked[uuid].waiting == number)
            minutes += 9
        assert await queue_exists(rabbit, uuid)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await sessions.stop()
        assert not await queue_exists(rabbit, uuid)
