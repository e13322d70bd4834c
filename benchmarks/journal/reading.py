"""Pages of a long journal by `GET /journal`, on a connection that is kept."""

from __future__ import annotations

import random
import time
from http import HTTPStatus
from typing import Any

import aiohttp

from benchmarks.journal.events import fill_journal
from benchmarks.measure import Bench, say
from benchmarks.services import NotMeasured

EVENTS, QUICK_EVENTS = 10_000_000, 100_000
REQUESTS = 200  # of each kind, each at a number of its own
LIMIT = 100
ANYWHERE, EXACT, PATTERN = "after=", "after=, a topic that never came", "after=, a pattern that no topic has"
_ASKED: dict[str, dict[str, Any]] = {ANYWHERE: {}, EXACT: {"topic": "never.came"}, PATTERN: {"topic": "*.came"}}


async def measure_reading(bench: Bench) -> dict[str, list[float]]:
    """Returns the seconds of the requests of each kind."""
    services = bench.services
    events = QUICK_EVENTS if bench.quick else EVENTS
    async with services.database() as database:
        started = time.monotonic()
        await fill_journal(database, events)
        say(f"journal  {events:,} events inserted in {time.monotonic() - started:.0f} s")
        async with (
            services.counting_consumer() as consumer,
            services.server(consumer, database) as server,
            aiohttp.ClientSession(server.url, headers={"Accept": "application/json"}) as http,
        ):
            anywhere = [random.randrange(events - LIMIT) for _ in range(REQUESTS)]
            return {
                name: [
                    await _timed(http, {**asked, "after": after, "limit": LIMIT}, full=not asked) for after in anywhere
                ]
                for name, asked in _ASKED.items()
            }


async def _timed(http: aiohttp.ClientSession, asked: dict[str, Any], *, full: bool) -> float:
    """Asks for a page, which is full or empty, and returns the seconds until all of it is there."""
    started = time.perf_counter()
    async with http.get("/journal", params=asked) as answer:
        await answer.read()
        seconds = time.perf_counter() - started
        if answer.status != HTTPStatus.OK or len((await answer.json())["events"]) != LIMIT * full:
            raise NotMeasured(f"A page of the journal is another: {answer.status} {(await answer.text())[:200]}")
    return seconds
