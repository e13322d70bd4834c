"""Callers of the bundled consumer: those that are refused, and the bounds on what the others make it hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from promise_pub.consumer import reading, server
from promise_pub.consumer import sessions as module
from promise_pub.consumer.server import make_app, serve
from promise_pub.delivery.consumer_client.client import open_consumer
from promise_pub.errors import ConfigurationError, ConsumerRefused
from promise_pub.http.intake.limits import DEFAULT_LIMITS
from promise_pub.http.security import LOOPBACK, Exposure
from promise_pub.retries import Backoff
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings
from tests.consumer_parts import ConsumerUnderTest, bundled, people, publish, queue_exists, settings_of
from tests.web_parts import until

TOKEN = "a-token-of-the-tests"
FOREVER = 3600  # seconds of idle timeout: who waits for it runs into the client's limit and fails
PATHS = (
    "/healthcheck/",
    "/create/",
    "/process/?uuid=u&timeout=1&mode=live",
    "/remove/?uuid=u",
    "/getSession/?uuid=u",
    "/",
)
AT_ONCE = Backoff(first=0.01, longest=0.01, within=0.01)


@pytest.fixture
async def consumer(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[ConsumerUnderTest]:
    async with bundled(rabbit, database) as consumer:
        yield consumer


@asynccontextmanager
async def guarded(
    rabbit: RabbitSettings, database: DatabaseSettings, token: str = "", exposure: Exposure = LOOPBACK
) -> AsyncIterator[tuple[aiohttp.ClientSession, ConsumerSettings]]:
    """A consumer, and a client of no token that knows its address."""
    settings = settings_of(rabbit, database)
    settings = replace(settings, consumer=replace(settings.consumer, token=token))
    runner = web.AppRunner(make_app(settings, exposure=exposure), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield http, replace(settings.consumer, port=port)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example:8001"}, 421),
        ({"Host": "192.0.2.7:8001"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "127.0.0.1:1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "localhost", "Sec-Fetch-Site": "none"}, 200),
        ({"Host": "consumer.example:8001"}, 200),
    ],
)
async def test_pages_of_other_sites_and_names_bent_to_it_are_refused(
    rabbit: RabbitSettings, database: DatabaseSettings, headers: dict[str, str], status: int
) -> None:
    named = Exposure(hosts=frozenset({"consumer.example"}))
    async with guarded(rabbit, database, exposure=named) as (http, _):
        for path in ("/healthcheck/", "/create/"):
            async with http.get(path, headers=headers) as answer:
                assert answer.status == status, path
                assert not (status != 200 and "uuid" in await answer.text())


async def test_beyond_loopback_it_may_have_any_name(rabbit: RabbitSettings, database: DatabaseSettings) -> None:
    async with guarded(rabbit, database, TOKEN, Exposure(loopback=False)) as (http, _):
        headers = {"Host": "consumer:8001", "Authorization": f"Bearer {TOKEN}"}
        async with http.get("/healthcheck/", headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("sent", ["", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer \xe4\xff"])
async def test_with_a_token_no_call_is_answered_without_it(
    rabbit: RabbitSettings, database: DatabaseSettings, sent: str
) -> None:
    async with guarded(rabbit, database, TOKEN) as (http, _):
        for path in PATHS:
            async with http.get(path, headers={"Authorization": sent}) as answer:
                assert answer.status == 401, path
                text = await answer.text()
                assert "[consumer] token" in text and TOKEN not in text


async def test_a_publisher_with_its_token_is_served_and_another_is_told_what_to_set(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with guarded(rabbit, database, TOKEN) as (_, settings):
        async with open_consumer(settings, AT_ONCE) as client:
            await client.healthcheck()
            assert await queue_exists(rabbit, (await client.create()).uuid)
        async with open_consumer(replace(settings, token=""), AT_ONCE) as client:
            with pytest.raises(ConsumerRefused, match=r"status 401.*Set \[consumer\] token") as caught:
                await client.create()
            assert caught.value.status == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_beyond_loopback_it_does_not_start_without_a_token(
    rabbit: RabbitSettings, database: DatabaseSettings, host: str
) -> None:
    settings = settings_of(rabbit, database)
    exposed = replace(settings, consumer=replace(settings.consumer, host=host))
    with pytest.raises(ConfigurationError, match=rf"\[consumer\] token: must be set .* others reach {host}"):
        await serve(exposed, on_ready=lambda _: None)


async def test_it_listens_where_it_is_told_and_closes_each_connection(
    rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    settings, ready = settings_of(rabbit, database), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, on_ready=ready.set_result))
    try:
        url = URL(await ready)
        async with asyncio.timeout(30), aiohttp.ClientSession(url) as http:
            async with http.get("/healthcheck/", data=b"x" * 1000) as answer:
                assert (answer.status, answer.headers["Connection"]) == (200, "close")
            # A body that never comes does not keep it waiting.
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(b"GET /healthcheck/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_connections_are_bounded(
    rabbit: RabbitSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DEFAULT_LIMITS", replace(DEFAULT_LIMITS, connections=3))
    settings, ready = settings_of(rabbit, database), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, on_ready=ready.set_result))
    try:
        url = URL(await ready)
        async with asyncio.timeout(30), aiohttp.ClientSession(url) as http:
            ends = [await asyncio.open_connection(url.host, url.port) for _ in range(5)]
            for reader, _ in ends[:2]:
                assert await reader.read() == b"", "it was idle longest, and others needed room"
            async with http.get("/healthcheck/") as answer:
                assert answer.status == 200
            for _, writer in ends:
                writer.close()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_only_so_many_sessions_are_open_at_once(
    consumer: ConsumerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 3)
    answers = await asyncio.gather(*(consumer.get("/create/") for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 5
    refused = next(answer for answer in answers if answer.status == 503)
    assert "3 sessions are open already" in refused.text
    uuid = next(answer for answer in answers if answer.status == 200).json()["uuid"]
    await consumer.remove(uuid)
    assert (await consumer.get("/create/")).status == 200


async def test_sessions_that_no_message_has_reached_make_room_and_no_others(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 4)
    monkeypatch.setattr(module, "UNUSED_AFTER", 0)
    waiting, read, unread, idle = [await consumer.create() for _ in range(4)]
    for queue in (waiting, read):
        await publish(rabbit, queue, people(2))
    for uuid in (read, idle):
        assert (await consumer.process(uuid, "live", FOREVER)).text == "OK"
    await consumer.until(read, lambda session: session["saved"] == 2)
    created = [await consumer.create(), await consumer.create()]
    for uuid in (waiting, read, created[1]):
        assert (await consumer.session(uuid))["uuid"] == uuid
    for uuid in (unread, idle):
        assert (await consumer.get("/getSession/", uuid=uuid)).text == "Not a valid uuid"
        await until(partial(_is_gone, rabbit, uuid))
    assert (await consumer.remove(waiting))["checksum"] == 0


async def _is_gone(rabbit: RabbitSettings, queue: str) -> bool:
    return not await queue_exists(rabbit, queue)


async def test_a_young_session_keeps_its_place(consumer: ConsumerUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 1)
    await consumer.create()
    assert (await consumer.get("/create/")).status == 503


async def test_a_removal_waits_for_what_is_in_the_queue_and_no_longer(
    consumer: ConsumerUnderTest, rabbit: RabbitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both modes, and whatever the idle timeout: a publisher asks for it once every row is confirmed."""
    monkeypatch.setattr(module, "REMOVAL_IDLE", 0)
    for first, mode in ((1, "live"), (3001, "batch")):
        uuid = await consumer.create()
        processing = asyncio.create_task(consumer.process(uuid, mode, FOREVER))
        await publish(rabbit, uuid, people(3000, first))
        await consumer.until(uuid, lambda session: session["checksum"] > 0)
        assert (await consumer.remove(uuid))["saved"] == 3000
        assert (await processing).text == "OK"
    assert reading.BATCH_ROWS < 3000
