"""The field double's own ways, and its switches."""

from __future__ import annotations

import asyncio

import aiohttp
import aiormq.exceptions
import pytest

from promise_pub.amqp.connection import connect
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import body, employees, field, people, publish

CALLS = {
    "health": "/health/",
    "create": "/create/",
    "process": "/process/",
    "remove": "/remove/",
    "getsession": "/getSession/",
}


async def test_its_queue_is_not_durable(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database) as consumer, connect(rabbit) as connection:
        uuid = await consumer.create()
        await (await connection.channel()).queue_declare(uuid, durable=False)
        with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
            await (await connection.channel()).queue_declare(uuid, durable=True)


async def test_it_does_not_know_extensions(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database) as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, people(3))
        await consumer.process(uuid, "batch", 0, sent=1)
        assert (await consumer.remove(uuid, sent=1)).keys() == {
            "uuid",
            "started",
            "ended",
            "host",
            "checksum",
            "saved",
        }


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("way", "status", "text"),
    [
        ("500", 500, "boom"),
        ("garbage", 200, "<html>{not JSON"),
        ("error", 200, "ERROR"),
        ("missing", 200, "{}"),
    ],
)
async def test_any_call_can_answer_wrongly(
    rabbit: RabbitSettings, database: DatabaseSettings, call: str, way: str, status: int, text: str
) -> None:
    async with field(rabbit, database, f"--{call}", way) as consumer:
        answer = await consumer.get(CALLS[call])
        assert (answer.status, answer.text) == (status, text)


async def test_a_call_can_hang(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database, "--create", "hang") as consumer:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.get("/create/"), 0.5)


async def test_a_call_can_end_the_process(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database, "--process", "die") as consumer:
        with pytest.raises(aiohttp.ClientConnectionError):
            await consumer.get("/process/")


@pytest.mark.parametrize(("switches", "told"), [((), 4), (("--lie-saved",), 7)], ids=["honest", "lying"])
async def test_it_can_lose_rows_that_are_no_repeats(
    rabbit: RabbitSettings, database: DatabaseSettings, switches: tuple[str, ...], told: int
) -> None:
    async with field(rabbit, database, "--lose", "2", *switches) as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, [*people(6), body("A repeat of a lost one", "1@example.com")])
        await consumer.process(uuid, "batch", 0)
        final = await consumer.remove(uuid)
        assert (final["checksum"], final["saved"]) == (7, told)
        assert [mail for _, mail in await employees(database)] == [f"{n}@example.com" for n in range(3, 7)]


async def test_it_can_stall(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database, "--stall-after", "3") as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, people(6))
        await consumer.process(uuid, "live", 0)
        await consumer.until(uuid, lambda session: session["checksum"] == 3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.remove(uuid), 0.5)
        assert (await consumer.session(uuid))["checksum"] == 3


async def test_it_can_leave_the_counts_untold(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with field(rabbit, database, "--untold") as consumer:
        uuid = await consumer.create()
        assert (await consumer.session(uuid)).keys() == {"uuid", "started", "ended", "host"}
