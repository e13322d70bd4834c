"""A server with the journal and the bus on: what it tells of itself, in the journal and on the exchange."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import jsonschema_rs
import pytest

from promise_pub import db
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.amqp.connection import url_of
from promise_pub.features.journal.described import BODIES
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.described_messages import properties_of
from tests.fake_accounts import QUICK
from tests.web_parts import ServerUnderTest, people, serving, settings, until

PASSWORD = "correct horse"
JSON = {"Accept": "application/json"}


@pytest.fixture
async def token(database: DatabaseSettings) -> str:
    """Of an operator; ann is one, too."""
    async with db.open_pool(database, max_size=1) as pool:
        accounts = StoredAccounts(pool)
        await accounts.add_user("ann", Role.OPERATOR, await Passwords(QUICK).hash(PASSWORD))
        return (await accounts.add_token("ci", Role.OPERATOR, 1))[0]


@pytest.fixture
def bus() -> BusSettings:
    name = uuid.uuid4().hex[:12]
    return BusSettings(enabled=True, exchange=f"events-{name}", queue=f"journal-{name}", prefix="mine")


@pytest.fixture
async def guarded(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, bus: BusSettings
) -> AsyncIterator[Settings]:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        yield replace(settings(rabbit, database, consumer, tmp_path, auth="users"), features={"bus": bus})


@asynccontextmanager
async def listening(
    rabbit: RabbitSettings, bus: BusSettings
) -> AsyncIterator[list[aio_pika.abc.AbstractIncomingMessage]]:
    """Yields the messages that come to the exchange during the block."""
    heard: list[aio_pika.abc.AbstractIncomingMessage] = []

    async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        heard.append(message)

    async with await aio_pika.connect(url_of(rabbit)) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(bus.exchange, "topic", durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        await queue.consume(hear, no_ack=True)
        yield heard
        await channel.queue_delete(bus.queue)
        await channel.exchange_delete(bus.exchange)


async def log_in(server: ServerUnderTest, password: str) -> int:
    fields = {"name": "ann", "password": password, "next": "/"}
    reply = await server.ask("POST", "/login", data=fields, headers={"Accept": "text/html"}, allow_redirects=False)
    return reply.status


async def test_every_event_is_told_and_is_as_described(
    guarded: Settings, rabbit: RabbitSettings, bus: BusSettings, token: str
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {token}"}
    async with listening(rabbit, bus) as heard:
        async with serving(guarded) as server:
            description = (await server.get("/asyncapi.json", headers=headers)).json
            assert await log_in(server, "wrong") == 401
            assert await log_in(server, PASSWORD) == 303
            form = aio_form(people(30), clear="true", mode="live")
            run = (await server.ask("POST", "/simulate/", data=form, headers=headers)).json
            assert run["verdict"] == "kept", run
        async with serving(guarded) as server:  # what was told last is published now

            async def told() -> dict[str, Any]:
                page = (await server.get("/journal?after=0&limit=1000", headers=headers)).json
                return {event["topic"]: event for event in page["events"]}

            # A short run has no progress to tell.
            wanted = {f"mine.{topic}" for topic in BODIES} - {"mine.run.progress"}
            await until(lambda: has_all(told, wanted))
            events = await told()
            await until(lambda: heard_all(heard, wanted))
        assert events["mine.account.login"]["actor"] == "ann"
        assert events["mine.account.token_used"]["actor"] == events["mine.run.ended"]["actor"] == "ci"
        assert "wrong" not in json.dumps(events)
        assert {event["source"] for event in events.values()} == {"own"}
    components = description["components"]
    assert heard
    for message in heard:
        name = next(one for one in components["messages"].values() if one["name"] == message.routing_key)
        told_properties = {**properties_of(message.properties), "headers": dict(message.headers)}
        del told_properties["priority"]  # aio-pika makes a 0 of none
        for part, value in (("headers", told_properties), ("payload", json.loads(message.body))):
            schema = jsonschema_rs.validator_for({**name[part], "components": components})
            assert [error.message for error in schema.iter_errors(value)] == [], (part, value)


def aio_form(content: bytes, **fields: str) -> Any:
    form = aiohttp.FormData(fields, quote_fields=False)
    form.add_field("input_file", content, filename="data.csv", content_type="text/csv")
    return form


async def has_all(told: Any, wanted: set[str]) -> bool:
    return wanted <= {*await told()}


async def heard_all(heard: list[aio_pika.abc.AbstractIncomingMessage], wanted: set[str]) -> bool:
    return wanted <= {message.routing_key or "" for message in heard}


async def test_without_a_journal_nothing_is_told_and_the_bus_is_left_alone(
    guarded: Settings, database: DatabaseSettings, bus: BusSettings, token: str
) -> None:
    quiet = replace(guarded, features={"bus": bus, "journal": JournalSettings(enabled=False)})
    async with serving(quiet) as server, db.open_pool(database) as pool:
        assert await log_in(server, PASSWORD) == 303
        headers = {**JSON, "Authorization": f"Bearer {token}"}
        assert (await server.ask("POST", "/simulate/", data=aio_form(people(3)), headers=headers)).status == 200
        assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
        assert (await server.get("/journal", headers=headers)).json["events"] == []
        posted = await server.ask("POST", "/journal", json={"topic": "deploy", "data": 1}, headers=headers)
        assert posted.status == 201
        assert len((await server.get("/journal", headers=headers)).json["events"]) == 1
        assert "events" not in (await server.get("/asyncapi.json", headers=headers)).json["channels"]
