"""Fates of rows that did not pass the broker, or were lost in it, by real causes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.amqp.connection import connect
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.consumer_parts import ConsumerUnderTest, bundled, database_connection, employees, field
from tests.fates_parts import JSON, File, Format, Listed, file_of, listed, people_of, run_when, sent, start
from tests.faults.lines import line_to
from tests.integration.test_failing_services import IMPATIENT
from tests.web_parts import ServerUnderTest, serving, settings

SLOWLY = {"rate": 150, "timeout": 1}


def some(row: int) -> Any:
    """A question to a run: are so many rows confirmed?"""
    return lambda run: run["rows"]["confirmed"] >= row


async def begun(server: ServerUnderTest, file: File, confirmed: int = 30, **parameters: object) -> tuple[str, str]:
    """A run that publishes; its address and its queue."""
    path = await start(server, file, **{"mode": "batch", **SLOWLY, **parameters})
    run = await run_when(server, path, some(confirmed))
    return path, run["session"]["uuid"]


async def end_of(server: ServerUnderTest, path: str, file: File) -> Listed:
    run = await run_when(server, path, lambda run: run["finished_at"])
    return await listed(server, run, file)


@pytest.mark.parametrize(("mode", "state"), [("live", "completed"), ("batch", "failed")])
async def test_rows_are_returned_once_their_queue_is_deleted(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, mode: str, state: str
) -> None:
    format = Format("latin-1", "tab", header=True)
    file = file_of(format, people_of(format, 200))
    async with bundled(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        path, queue = await begun(server, file, mode=mode)
        await consumer_parts.delete_queue(rabbit, queue)
        found = await end_of(server, path, file)
    assert found.run["state"] == state
    returned, rest = found.fates["returned"], "saved" if mode == "live" else "unknown"
    assert 0 < returned < 200 and found.fates[rest] == 200 - returned
    assert found.lines("returned") == [one.line for one in file.rows[-returned:]]
    assert found.reasons("returned") == {"no queue took it"}


class LimitedQueue:
    """A consumer whose next queue holds so many messages and refuses more, behind its own answers."""

    def __init__(self, consumer: ConsumerUnderTest, rabbit: RabbitSettings, most: int) -> None:
        self._consumer = consumer
        self._rabbit = rabbit
        self._most = most

    async def answer(self, request: web.Request) -> web.Response:
        told = await self._consumer.get(request.path, **request.query)
        if request.path == "/create/":
            async with connect(self._rabbit) as connection:
                channel = await connection.channel(publisher_confirms=False)
                arguments: Any = {"x-max-length": self._most, "x-overflow": "reject-publish"}
                queue = told.json()["uuid"]
                await channel.queue_delete(queue)
                await channel.queue_declare(queue, durable=True, arguments=arguments)
        return web.Response(text=told.text, status=told.status)


@pytest.fixture
async def limited(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[ConsumerUnderTest]:
    async with bundled(rabbit, database) as consumer:
        app = web.Application()
        app.router.add_get("/{call}/", LimitedQueue(consumer, rabbit, 40).answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield ConsumerUnderTest(consumer._http, url, consumer.health_path)
        finally:
            await runner.cleanup()


async def test_rows_are_nacked_by_a_queue_that_is_full(
    rabbit: RabbitSettings, database: DatabaseSettings, limited: ConsumerUnderTest, tmp_path: Path
) -> None:
    format = Format("iso-8859-15", ";")
    file = file_of(format, people_of(format, 90))
    async with serving(settings(rabbit, database, limited, tmp_path)) as server:
        found = await listed(server, await sent(server, file), file)
    saved = {mail for _, mail in await employees(database)}
    assert found.run["verdict"] == "broken" and found.fates["nacked"] == found.run["rows"]["nacked"] > 0
    assert found.lines("nacked") == file.lines(lambda values: values[1] not in saved)
    assert found.lines("saved") == file.lines(lambda values: values[1] in saved)


async def test_rows_in_flight_when_a_run_is_cancelled_are_unconfirmed(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    format = Format("cp1252", "|", header=True)
    file = file_of(format, people_of(format, 400))

    async def broker() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(rabbit.host, rabbit.port)

    async with line_to(broker) as line, bundled(rabbit, database) as consumer:
        through_it = replace(rabbit, host="127.0.0.1", port=line.port)
        async with serving(settings(through_it, database, consumer, tmp_path), IMPATIENT) as server:
            path, _ = await begun(server, file)
            line.stall()
            await run_when(server, path, lambda run: run["rows"]["in_flight"] >= 5)
            await server.ask("POST", f"{path}/cancel", headers=JSON)
            found = await end_of(server, path, file)
            line.flow()
    fates, rows = found.fates, file.rows
    assert found.run["state"] == "cancelled" and fates["unconfirmed"] >= 5 and fates["unpublished"] > 0
    settled = fates["unknown"]
    assert found.lines("unconfirmed") == [one.line for one in rows[settled : settled + fates["unconfirmed"]]]
    assert found.lines("unpublished") == [one.line for one in rows[settled + fates["unconfirmed"] :]]


async def test_rows_of_a_run_that_failed_before_it_read_anything_are_unpublished(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    format = Format("utf-8", "|")
    file = file_of(format, people_of(format, 40))
    async with serving(settings(rabbit, database, unused_tcp_port, tmp_path), IMPATIENT) as server:
        run = await sent(server, file)
        assert run["state"] == "failed" and run["rows"]["read"] == 0
        found = await listed(server, run, file)
    assert found.fates == {"unpublished": 40, "rejected": len(file.records) - 40}


async def purge(rabbit: RabbitSettings, queue: str) -> int:
    """Empties a queue; the number of rows that were in it."""
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        return (await channel.queue_purge(queue)).message_count or 0


async def test_rows_that_are_purged_are_missing_by_the_lists_of_the_consumer(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    """Repeats of a mail, too: the first is missing, and the second is saved in its place."""
    format = Format("utf-8", ";", header=True)
    people = people_of(format, 120)
    people.append(("the second", people[4][1]))
    file = file_of(format, people)
    async with bundled(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        path, queue = await begun(server, file)
        await purge(rabbit, queue)
        found = await end_of(server, path, file)
    saved = {*await employees(database)}
    assert found.run["verdict"] == "broken" and found.fates["missing"] >= 30
    assert found.lines("missing") == [one.line for one in file.rows[: found.fates["missing"]]]
    assert len(saved) == found.fates["saved"] == 121 - found.fates["missing"]
    assert file.rows[-1].line in found.lines("saved")


async def test_rows_that_are_purged_are_missing_by_counts_where_these_leave_no_other(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    format = Format("latin-1", ",")
    file = file_of(format, people_of(format, 120))
    async with field(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        path, queue = await begun(server, file)
        await purge(rabbit, queue)
        found = await end_of(server, path, file)
    saved = {mail for _, mail in await employees(database)}
    assert found.lines("missing") == file.lines(lambda values: values[1] not in saved)
    assert found.fates["missing"] >= 30 and found.fates["saved"] == len(saved)


async def test_no_row_is_called_missing_where_another_may_be(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    """Repeats are purged and as many rows dropped: the counts are those of repeats received and of those rows purged."""
    held = [(f"held {n}", f"{n}@held.example") for n in range(1, 61)]
    format = Format("cp1252", ",")
    file = file_of(format, [*held, *people_of(format, 90)])
    async with field(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        async with database_connection(database) as connection:
            await connection.executemany("INSERT INTO employees (name, mail) VALUES ($1, $2)", held)
            path, queue = await begun(server, file, confirmed=5, rate=40)
            purged = await purge(rabbit, queue)
            dropped = [f"'{n}@example.com'" for n in range(1, purged + 1)]
            await connection.execute(f"ALTER TABLE employees ADD CHECK (mail NOT IN ({', '.join(dropped)}))")
        found = await end_of(server, path, file)
    assert 5 <= purged <= 60 and found.run["session"]["received"] == 150 - purged
    assert found.fates["saved"] == 90 - purged and found.fates["unknown"] == 60 + purged
    assert found.reasons("unknown") == {"the consumer's counts of what it did not save leave a choice"}
