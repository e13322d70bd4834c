"""The bundled consumer when its broker, its database, its queue or its own process goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from promise_pub.consumer.saver import OUTAGE
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import (
    PATIENCE,
    ROOT,
    ConsumerUnderTest,
    body,
    bundled,
    database_connection,
    delete_queue,
    employees,
    line_to,
    people,
    publish,
    queue_exists,
    settings_of,
)
from tests.services import execute

FOREVER = 3600
ROWS = 6000  # two prefetch windows
IMPATIENT = replace(OUTAGE, within=0.5)
SERVE = """
import asyncio
from promise_pub.settings.model import load
from promise_pub.consumer.server import serve
asyncio.run(serve(load(), on_ready=lambda url: print(url, flush=True)))
"""


@pytest.fixture
async def consumer(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[ConsumerUnderTest]:
    async with bundled(rabbit, database) as consumer:
        yield consumer


def counts(session: dict[str, Any]) -> tuple[int, int, int, int]:
    return session["checksum"], session["saved"], session["duplicates"], session["invalid"]


async def disconnect_everybody(database: DatabaseSettings, connection: Any) -> int:
    return len(
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            database.dbname,
        )
    )


async def test_a_lost_broker_connection_costs_and_repeats_no_row(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database) as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, people(ROWS))
        await consumer.process(uuid, "live", FOREVER)
        for saved in (1, ROWS // 3, 2 * ROWS // 3):
            await consumer.until(uuid, lambda session, saved=saved: session["saved"] >= saved)
            before = line.connections
            line.drop()
            await consumer.until(uuid, lambda _, before=before: line.connections > before)
        assert counts(await consumer.remove(uuid, sent=ROWS)) == (ROWS, ROWS, 0, 0)
        assert len(await employees(database)) == ROWS


async def test_a_broker_away_for_a_while_is_waited_for(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database) as consumer:
        uuid = await consumer.create()
        await consumer.process(uuid, "live", FOREVER)
        await publish(rabbit, uuid, people(10))
        await consumer.until(uuid, lambda session: session["saved"] == 10)
        await line.cut()
        await publish(rabbit, uuid, people(10, first=11), [f"run:{n}" for n in range(11, 21)])
        removal = asyncio.create_task(consumer.remove(uuid, sent=20))
        await asyncio.sleep(0.5)
        assert counts(await consumer.session(uuid)) == (10, 10, 0, 0) and not removal.done()
        await line.put_back()
        assert counts(await removal) == (20, 20, 0, 0)


async def test_a_broker_that_stays_away_ends_the_session_with_the_counts_known(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database, IMPATIENT) as consumer:
        uuid = await consumer.create()
        processing = asyncio.create_task(consumer.process(uuid, "batch", FOREVER))
        await publish(rabbit, uuid, people(10))
        await consumer.until(uuid, lambda session: session["saved"] == 10)
        await line.cut()
        assert (await processing).text.startswith("ERROR: The broker at")
        assert counts(await consumer.remove(uuid, sent=20)) == (10, 10, 0, 0)


async def test_a_queue_that_cannot_be_deleted_is_deleted_when_the_broker_is_back(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    """Whoever asked for it was answered meanwhile: the counts are known."""
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database) as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, people(3))
        await line.cut()
        assert counts(await consumer.remove(uuid)) == (0, 0, 0, 0)
        assert await queue_exists(rabbit, uuid)
        await line.put_back()
        async with asyncio.timeout(PATIENCE):
            while await queue_exists(rabbit, uuid):  # noqa: ASYNC110  the broker is another process
                await asyncio.sleep(0.02)


async def test_a_queue_that_never_can_be_deleted_is_left_to_expire(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database, IMPATIENT) as consumer:
        uuid = await consumer.create()
        await line.cut()
        await consumer.remove(uuid)
        async with asyncio.timeout(PATIENCE):
            while f"{uuid} was not deleted and will expire" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await delete_queue(rabbit, uuid)


async def test_create_says_that_the_broker_is_away_and_works_when_it_is_back(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with line_to(rabbit) as (line, through_line), bundled(through_line, database) as consumer:
        await line.cut()
        answer = await consumer.get("/create/")
        assert answer.status == 503 and "broker" in answer.text
        assert (await consumer.get("/healthcheck/")).status == 200
        await line.put_back()
        assert (await consumer.get("/create/")).status == 200


async def test_create_says_that_the_database_cannot_take_rows(
    consumer: ConsumerUnderTest, database: DatabaseSettings
) -> None:
    async with database_connection(database) as connection:
        await connection.execute("ALTER TABLE employees RENAME TO elsewhere")
        answer = await consumer.get("/create/")
        assert answer.status == 503 and "schema --apply" in answer.text
        await connection.execute("ALTER TABLE elsewhere RENAME TO employees")
    assert (await consumer.get("/create/")).status == 200


async def test_database_connections_killed_in_mid_session_cost_and_repeat_no_row(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(ROWS))
    async with database_connection(database) as connection:
        await consumer.process(uuid, "live", FOREVER)
        killed = []
        for saved in (0, 1, ROWS // 3, 2 * ROWS // 3):
            await consumer.until(uuid, lambda session, saved=saved: session["saved"] >= saved)
            killed.append(await disconnect_everybody(database, connection))
    # A kill can fall between one connection and the next and find none: not every one of them, though.
    assert any(killed)
    assert counts(await consumer.remove(uuid, sent=ROWS)) == (ROWS, ROWS, 0, 0)
    assert len(await employees(database)) == ROWS


async def test_a_database_away_for_a_while_is_waited_for_and_nothing_is_acked_meanwhile(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    uuid = await consumer.create()
    await consumer.process(uuid, "live", FOREVER)
    async with closed(database):
        await publish(rabbit, uuid, people(10))
        await consumer.until(uuid, lambda session: session["checksum"] == 10)
        removal = asyncio.create_task(consumer.remove(uuid, sent=10))
        await asyncio.sleep(0.5)
        assert counts(await consumer.session(uuid)) == (10, 0, 0, 0) and not removal.done()
    assert counts(await removal) == (10, 10, 0, 0)


@asynccontextmanager
async def closed(database: DatabaseSettings) -> AsyncIterator[None]:
    """Nobody is let into the database meanwhile, nor stays in it."""
    allow = f"ALTER DATABASE {database.dbname} ALLOW_CONNECTIONS {{}}"
    await execute(database, allow.format("false"))
    await execute(
        database,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.dbname}'",
    )
    yield
    await execute(database, allow.format("true"))


async def test_rows_a_lost_database_left_in_hand_are_saved_by_the_next_process(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with bundled(rabbit, database, IMPATIENT) as consumer:
        uuid = await consumer.create()
        await publish(rabbit, uuid, people(10))
        async with closed(database):
            assert (await consumer.process(uuid, "batch", 0)).text.startswith("ERROR: ")
        assert (await consumer.process(uuid, "batch", 0)).text == "OK"
        assert counts(await consumer.remove(uuid)) == (10, 10, 0, 0)


@pytest.mark.parametrize(
    ("taken", "given", "words"),
    [
        (
            "ALTER TABLE employees RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO employees",
            "schema --apply",
        ),
        (
            "ALTER TABLE employees RENAME mail TO post",
            "ALTER TABLE employees RENAME post TO mail",
            'column "mail" of relation "employees" does not exist',
        ),
    ],
    ids=["a table", "a column"],
)
async def test_rows_that_the_database_refuses_end_it_at_once_and_are_saved_by_the_next_process(
    consumer: ConsumerUnderTest,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    taken: str,
    given: str,
    words: str,
) -> None:
    uuid = await consumer.create()
    await publish(rabbit, uuid, people(10))
    async with database_connection(database) as connection:
        await connection.execute(taken)
        told = (await consumer.process(uuid, "batch", FOREVER)).text
        assert told.startswith("ERROR: ") and words in told
        await connection.execute(given)
    assert (await consumer.process(uuid, "batch", 0)).text == "OK"
    assert counts(await consumer.remove(uuid)) == (10, 10, 0, 0)


async def test_a_row_only_the_database_refuses_costs_itself_alone(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with database_connection(database) as connection:
        await connection.execute("ALTER TABLE employees ADD CHECK (name <> 'refused')")
    uuid = await consumer.create()
    await publish(
        rabbit,
        uuid,
        [*people(700), body("refused", "a@x"), *people(300, first=701), body("refused", "b@x")],
    )
    await consumer.process(uuid, "batch", FOREVER, sent=1002)
    assert counts(await consumer.remove(uuid)) == (1002, 1000, 0, 2)


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_queue_deleted_in_mid_session_ends_it_with_the_counts_known(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, mode: str
) -> None:
    uuid = await consumer.create()
    processing = asyncio.create_task(consumer.process(uuid, mode, FOREVER))
    await publish(rabbit, uuid, people(10))
    await consumer.until(uuid, lambda session: session["saved"] == 10)
    await delete_queue(rabbit, uuid)
    expected = {"live": "OK", "batch": "ERROR: The session's queue is gone."}
    assert (await processing).text == expected[mode]
    assert counts(await consumer.remove(uuid, sent=20)) == (10, 10, 0, 0)


async def test_a_queue_deleted_before_the_session_is_processed_ends_it(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings
) -> None:
    uuid = await consumer.create()
    await delete_queue(rabbit, uuid)
    assert (await consumer.process(uuid, "batch", FOREVER)).text == "ERROR: The session's queue is gone."
    assert counts(await consumer.remove(uuid, sent=1)) == (0, 0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_with_its_sessions_and_their_queues(
    rabbit: RabbitSettings, database: DatabaseSettings, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", SERVE, cwd=ROOT, env=environment(rabbit, database),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout and process.stderr
        url = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode().strip()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
            consumer = ConsumerUnderTest(http, url, "/healthcheck/")
            uuid = await consumer.create()
            await consumer.process(uuid, "live", FOREVER)
            await publish(rabbit, uuid, people(10))
            await consumer.until(uuid, lambda session: session["saved"] == 10)
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
            writer.write(b"no request\r\n\r\n")
            malformed = await reader.readuntil(b"\r\n\r\n")
            assert b" 400 " in malformed and b"\r\nServer: promise-pub\r\n" in malformed
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
            writer.write(b"GET /remove/?uuid=%b&sent=20 HTTP/1.1\r\nHost: localhost\r\n\r\n" % uuid.encode())
            await consumer.session(uuid)  # asked and answered after that: it is there
            process.send_signal(number)
            assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
            assert b"\r\nServer: promise-pub\r\n" in await reader.readuntil(b"\r\n\r\n"), "no version is told"
            writer.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
        assert (await process.stderr.read()).decode() == ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert not await queue_exists(rabbit, uuid)


def environment(rabbit: RabbitSettings, database: DatabaseSettings) -> dict[str, str]:
    settings = settings_of(rabbit, database)
    sections = {
        "rabbit": settings.rabbit,
        "database": settings.database,
        "consumer": settings.consumer,
    }
    options = {
        f"PROMISE_PUB_{section}_{name}".upper(): str(getattr(values, name))
        for section, values in sections.items()
        for name in ("host", "port", "user", "password", "dbname", "vhost")
        if hasattr(values, name)
    }
    return os.environ | options
