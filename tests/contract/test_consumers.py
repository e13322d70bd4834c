"""The contract that every consumer meets: ours, and the double of those in the field."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import (
    ConsumerUnderTest,
    body,
    bundled,
    employees,
    field,
    people,
    publish,
    queue_exists,
)

NOT_YET = "0001-01-01T00:00:00Z"


@pytest.fixture(params=[bundled, field], ids=["bundled", "field"])
async def consumer(
    request: pytest.FixtureRequest, rabbit: RabbitSettings, database: DatabaseSettings
) -> AsyncIterator[ConsumerUnderTest]:
    async with request.param(rabbit, database) as consumer:
        yield consumer


async def test_it_says_that_it_is_alive(consumer: ConsumerUnderTest) -> None:
    assert (await consumer.get(consumer.health_path)).status == 200


async def test_create_declares_a_queue_named_as_the_session(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    session = (await consumer.get("/create/")).json()
    assert await queue_exists(rabbit, session["uuid"])
    assert (session["checksum"], session["saved"], session["ended"]) == (0, 0, NOT_YET)
    assert session["started"] > "2020" and session["host"]


async def test_two_sessions_have_nothing_in_common(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    first, second = await consumer.create(), await consumer.create()
    await publish(rabbit, first, people(3))
    assert (await consumer.process(second, "batch", 0)).text == "OK"
    assert (await consumer.remove(second))["checksum"] == 0
    await consumer.process(first, "batch", 0)
    assert (await consumer.remove(first))["checksum"] == 3


async def test_batch_brings_all_rows(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(300))
    answer = await consumer.process(uuid, "batch", 1)
    assert (answer.status, answer.text) == (200, "OK")
    assert (await consumer.session(uuid))["saved"] == 300
    final = await consumer.remove(uuid)
    assert (final["uuid"], final["checksum"], final["saved"]) == (uuid, 300, 300)
    assert final["ended"] > final["started"]
    assert sorted(await employees(database)) == sorted((f"Name {n}", f"{n}@example.com") for n in range(1, 301))


async def test_live_brings_the_rows_that_come_while_it_reads(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    uuid = await consumer.create()
    assert (await consumer.process(uuid, "live", 2)).text == "OK"
    await publish(rabbit, uuid, people(300))
    final = await consumer.remove(uuid)
    assert (final["checksum"], final["saved"]) == (300, 300)
    assert len(await employees(database)) == 300


async def test_a_session_can_be_watched_while_it_is_processing(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", 2)
    await publish(rabbit, uuid, people(10))
    await consumer.until(uuid, lambda session: session["checksum"] == session["saved"] == 10)
    await publish(rabbit, uuid, people(10, first=11), [f"run:{n}" for n in range(11, 21)])
    await consumer.until(uuid, lambda session: session["checksum"] == session["saved"] == 20)


async def test_a_repeated_mail_is_received_and_not_saved(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, [body("Ann", "a@x"), body("Bob", "b@x"), body("Another Ann", "a@x")])
    await consumer.process(uuid, "batch", 0)
    final = await consumer.remove(uuid)
    assert (final["checksum"], final["saved"]) == (3, 2)
    assert await employees(database) == [("Ann", "a@x"), ("Bob", "b@x")]


async def test_without_a_timeout_it_stops_when_the_queue_is_empty_and_not_before(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(500))
    assert (await consumer.process(uuid, "batch", 0)).text == "OK"
    assert (await consumer.session(uuid))["checksum"] == 500


async def test_names_are_saved_byte_for_byte(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    names = [
        "O'Brien",
        'say "hi"',
        "<script>alert(1)</script>",
        "😀👩‍👩‍👧",
        "שלום עולם",
        "مرحبا",
        "e\u0301 \u00e9",
        " \t\n\\",
        "",
    ]
    rows = [(name, f"{number}@x") for number, name in enumerate(names)]
    uuid = await consumer.create()
    await publish(rabbit, uuid, [body(*row) for row in rows])
    await consumer.process(uuid, "batch", 0)
    assert (await consumer.remove(uuid))["saved"] == len(rows)
    assert await employees(database) == rows


async def test_remove_drops_the_queue_and_the_session(consumer: ConsumerUnderTest, rabbit: RabbitSettings) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(5))
    final = await consumer.remove(uuid)
    assert (final["checksum"], final["saved"]) == (0, 0)
    assert not await queue_exists(rabbit, uuid)
    # Asked again, because the answer may have been lost on its way, it is told again, or there is nothing to tell.
    again = (await consumer.get("/remove/", uuid=uuid)).text
    assert again == "ERROR" or json.loads(again) == final
    assert not await queue_exists(rabbit, uuid)


@pytest.mark.parametrize("call", ["/process/", "/remove/", "/getSession/"])
@pytest.mark.parametrize("query", [{}, {"uuid": ""}, {"uuid": "no-such-session"}], ids=["none", "empty", "unknown"])
async def test_a_uuid_it_does_not_know_is_a_complaint_with_status_200(
    consumer: ConsumerUnderTest, call: str, query: dict[str, Any]
) -> None:
    answer = await consumer.get(call, mode="batch", timeout=1, **query)
    assert answer.complains() and answer.text != "OK"
