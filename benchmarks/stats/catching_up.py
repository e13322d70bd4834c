"""A server that starts with a journal that no statistic has counted yet: how fast it catches up, and what pages feel of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp
import asyncpg

from benchmarks.journal.events import fill_journal
from benchmarks.measure import Bench
from benchmarks.services import Listening, NotMeasured
from promise_pub import db
from promise_pub.features.journal.settings import JournalSettings
from promise_pub.settings.model import DatabaseSettings

PLUGINS = Path(__file__).parent / "plugins"
A_DAY = 1_000_000  # events: how densely they lie, so that fewer of them make as many rows each
LOOK_EVERY = 0.05  # seconds
_TIMEOUT = 600  # seconds
_POSITION = "SELECT count(*) AS all, coalesce(min(position), 0) AS position FROM stats_statistics WHERE state = 'going'"


@dataclass(frozen=True)
class CaughtUp:
    """A server that caught up with that many events: seconds until its first page, from there until all was counted, of each
    page meanwhile, and its highest memory in MB."""

    events: int
    first_page: float
    seconds: float
    peak: float
    pages: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


async def catch_up(bench: Bench, events: int) -> CaughtUp:
    """Lets a fresh server count a journal of so many events, with ten statistics that count each of them."""
    services = bench.services
    async with services.database() as database:
        await fill_journal(database, events, A_DAY)
        started = time.perf_counter()
        async with (
            services.counting_consumer() as consumer,
            # It tells nothing of itself, so that the events are those that it found.
            services.server(
                consumer, database, features={"journal": JournalSettings(enabled=False)}, plugins=PLUGINS
            ) as server,
            db.open_pool(database, max_size=1) as pool,
        ):
            await get_page(server.url)
            first_page = time.perf_counter() - started
            pages: list[float] = []
            async with asyncio.timeout(_TIMEOUT):
                while await position_of(pool) < events:
                    pages.append(await get_page(server.url))
                    await asyncio.sleep(LOOK_EVERY)
            seconds = time.perf_counter() - started - first_page
            await _check(pool, events)
            return CaughtUp(events, first_page, seconds, server.peak_memory(), pages)


async def position_of(pool: asyncpg.Pool) -> int:
    """Returns the number of the event up to which all statistics have counted."""
    row = await pool.fetchrow(_POSITION)
    return int(row["position"]) if row["all"] else 0


async def get_page(url: str) -> float:
    """Returns the seconds that `GET /` takes, on a connection of its own."""
    started = time.perf_counter()
    async with aiohttp.ClientSession() as http, http.get(f"{url}/") as answer:
        await answer.read()
        if answer.status != HTTPStatus.OK:
            raise NotMeasured(f"A page was not shown: {answer.status}")
    return time.perf_counter() - started


async def _check(pool: asyncpg.Pool, events: int) -> None:
    """Raises NotMeasured unless each statistic that counts every event has counted all, at each width."""
    wrong = await pool.fetch(
        """
        SELECT name, width, sum(count) AS counted
        FROM stats_cells JOIN stats_statistics ON id = statistic
        WHERE name LIKE 'bench-%' OR name LIKE 'volume%' OR name = 'senders'
        GROUP BY name, width HAVING sum(count) <> $1
        """,
        events,
    )
    if wrong:
        raise NotMeasured(f"Statistics have counted other than {events:,}: {[tuple(row) for row in wrong]}")


async def caught_up(database: DatabaseSettings, server: Listening, events: int) -> None:
    """Waits until all statistics have counted so many events."""
    async with db.open_pool(database, max_size=1) as pool, asyncio.timeout(_TIMEOUT):
        while await position_of(pool) < events:  # noqa: ASYNC110  another process counts
            await asyncio.sleep(LOOK_EVERY)
