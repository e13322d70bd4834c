"""The time from the bus to a statistic, and the rate of events that go all the way."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime

import aiohttp
from pamqp.commands import Basic

from benchmarks.journal.events import filled_bus
from benchmarks.journal.taking import Inserted
from benchmarks.measure import Bench
from benchmarks.services import NotMeasured
from benchmarks.stats.catching_up import LOOK_EVERY, PLUGINS, caught_up, position_of
from promise_pub import db
from promise_pub.amqp.connection import connect
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import RabbitSettings

SAMPLES, QUICK_SAMPLES = 100, 5
PATIENCE = 30.0  # seconds for one event
_TOPIC = "visible.event"


async def all_live(bench: Bench) -> Inserted:
    """Lets a fresh server take what a queue holds, until ten statistics have counted it."""
    services = bench.services
    async with (
        filled_bus(services.rabbit, bench.rows) as bus,
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database, features={"bus": bus}, plugins=PLUGINS) as server,
        db.open_pool(database, max_size=1) as pool,
    ):
        while (first := await position_of(pool)) < 1:  # noqa: ASYNC110  another process counts
            await asyncio.sleep(LOOK_EVERY)
        started, busy = time.perf_counter(), server.processor()
        await caught_up(database, server, bench.rows)
        return Inserted(bench.rows - first, time.perf_counter() - started, server.processor() - busy)


async def seconds_until_visible(bench: Bench) -> list[float]:
    """Returns for each of some events the seconds from its confirm until `GET /stats/…` tells it."""
    services = bench.services
    bus = BusSettings(enabled=True, exchange="bench-visible", queue="bench-visible", publish=False)
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database, features={"bus": bus}) as server,
        aiohttp.ClientSession(server.url, headers={"Accept": "application/json"}) as http,
    ):
        await _wait_for(http, 0)
        return [
            await _one(services.rabbit, bus, http, number)
            for number in range(1, (QUICK_SAMPLES if bench.quick else SAMPLES) + 1)
        ]


async def _one(rabbit: RabbitSettings, bus: BusSettings, http: aiohttp.ClientSession, number: int) -> float:
    # At no fixed moment of the second in which the server looks.
    await asyncio.sleep(random.random())
    async with connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.basic_publish(
            b"{}",
            exchange=bus.exchange,
            routing_key=_TOPIC,
            properties=Basic.Properties(message_id=f"{number}", app_id="bench", timestamp=datetime.now(UTC)),
        )
    started = time.perf_counter()
    await _wait_for(http, number)
    return time.perf_counter() - started


async def _wait_for(http: aiohttp.ClientSession, count: int) -> None:
    """Waits until so many events are counted by their topic."""
    asked = {"interval": "1d", "since": "2d", "key": _TOPIC}
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(LOOK_EVERY)
            async with http.get("/stats/volume-by-topic", params=asked) as answer:
                if answer.status == 404 and not count:
                    continue  # it is not begun yet
                if answer.status != 200:
                    raise NotMeasured(f"A statistic was not shown: {answer.status} {(await answer.text())[:200]}")
                rows = (await answer.json())["rows"]
            if sum(row["count"] for row in rows) >= count:
                return
