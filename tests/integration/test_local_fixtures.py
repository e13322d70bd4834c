"""The services that every other test relies on."""

from __future__ import annotations

import aiormq
import asyncpg
from yarl import URL

from promise_pub.settings.model import DatabaseSettings, RabbitSettings


async def test_the_broker_takes_a_message(rabbit: RabbitSettings) -> None:
    url = URL.build(
        scheme="amqp",
        host=rabbit.host,
        port=rabbit.port,
        user=rabbit.user,
        password=rabbit.password,
        path="//",
    )
    async with aiormq.Connection(url) as connection:
        channel = await connection.channel()
        queue = (await channel.queue_declare(exclusive=True)).queue
        await channel.basic_publish(b"{}", routing_key=queue, mandatory=True)
        message = await channel.basic_get(queue, no_ack=True)
    assert message.body == b"{}"


async def _connect(database: DatabaseSettings) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=database.host, user=database.user, password=database.password, database=database.dbname
    )


async def test_the_database_has_the_scheme_and_no_rows(database: DatabaseSettings) -> None:
    connection = await _connect(database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM employees") == 0
        await connection.execute("INSERT INTO employees (name, mail) VALUES ('Ann', 'ann@example.org')")
    finally:
        await connection.close()


async def test_the_next_test_gets_another_database(database: DatabaseSettings) -> None:
    connection = await _connect(database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM employees") == 0
    finally:
        await connection.close()
