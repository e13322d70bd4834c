"""Servers that are killed while they condense days: no day is left out, and each is what its events say."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from promise_pub.days import ONE_DAY, day_of
from promise_pub.db import open_pool
from promise_pub.features.jobs.errors import JobWaiting
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.settings import inifile
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests.services import RunningCommand, StartCommand
from tests.usage.naive import Login
from tests.usage.site import Site
from tests.web_parts import until

ZONE = ZoneInfo("Europe/Berlin")
DAYS, KILLS = 250, 4
FIRST = datetime.now(UTC).replace(minute=0) - timedelta(days=DAYS)


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database, max_size=2) as pool:
        yield pool


@pytest.fixture
def configuration(database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int) -> Path:
    """A server that reaches nothing but the database."""
    settings = Settings(
        server=ServerSettings(port=unused_tcp_port, uploads=tmp_path / "uploads"),
        rabbit=RabbitSettings(host="127.0.0.1"),
        consumer=ConsumerSettings(host="127.0.0.1", port=1),
        database=database,
        features={"usage": UsageSettings(timezone=ZONE, exclude=())},
    )
    path = tmp_path / "killed.ini"
    inifile.write(path, settings)
    return path


def some_logins() -> list[Login]:
    chance = random.Random(11)
    hours = [FIRST + timedelta(hours=6 * n) for n in range(4 * DAYS)]
    return [Login(f"person{chance.randrange(9)}", at) for at in hours for _ in range(chance.randrange(4))]


async def condensed(pool: asyncpg.Pool) -> tuple[int, date | None, str | None]:
    """Returns the number of condensed days, the last of them, and the cookie, all of one moment."""
    query = "SELECT count(*), max(day), (SELECT value #>> '{}' FROM job_cookies WHERE job = 'usage' AND name = 'next') FROM usage_days"
    count, last, cookie = await pool.fetchrow(query)
    return count, last, cookie


async def test_each_day_is_condensed_though_servers_are_killed_in_the_middle_of_it(
    pool: asyncpg.Pool, configuration: Path, start_process: StartCommand
) -> None:
    logins = some_logins()
    await Site(pool, StoredJournal(pool)).log_in(*logins)
    desk, begun = StoredJobs(pool), 0
    cut_off: set[int] = set()

    async def is_known() -> bool:
        return "usage" in {one.name for one in await desk.known()}

    async def newest() -> JobRun | None:
        return next(iter(await desk.runs("usage", 1)), None)

    async def nothing_is_cut_off() -> bool:
        run = await newest()
        return run is None or run.state is not State.RUNNING or run.id not in cut_off

    async def nobody_holds_a_lock() -> bool:
        """Tells whether the database has noticed that a server is gone, and has taken its step back."""
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        return not await pool.fetchval(query)

    async def some_days_are_condensed() -> bool:
        return (await condensed(pool))[0] >= begun + 4

    async def is_completed() -> bool:
        run = await newest()
        return run is not None and run.state is State.COMPLETED

    async def serve_and_ask() -> RunningCommand:
        server = await start_process("serve", "-c", configuration)
        await server.wait_for("Listening")
        await until(is_known)
        # The run that was cut off is taken over first; its next try would wait for a minute.
        await until(nothing_is_cut_off)
        run = await newest()
        if run is None or run.state is not State.RUNNING:
            with suppress(JobWaiting):
                await desk.ask("usage", {}, None)
        return server

    for _ in range(KILLS):
        server = await serve_and_ask()
        await until(some_days_are_condensed)
        await server.kill()
        cut_off |= {run.id for run in await desk.runs("usage", 1)}
        await until(nobody_holds_a_lock)
        begun, last, cookie = await condensed(pool)
        assert last and cookie == str(last + ONE_DAY), "it tells the first day that is not condensed"
        assert last - day_of(logins[0].at, ZONE) == timedelta(days=begun - 1), "no day before it is left out"
    assert begun < DAYS
    server = await serve_and_ask()
    await until(is_completed)
    assert await server.stop() == 0

    counted = Counter((day_of(login.at, ZONE), login.actor) for login in logins)
    rows = await pool.fetch("SELECT day, actor, times FROM usage_actors WHERE action = 'login'")
    assert {(row["day"], row["actor"]): row["times"] for row in rows} == counted
    days = [row["day"] for row in await pool.fetch("SELECT day FROM usage_days ORDER BY day")]
    assert days == [days[0] + n * ONE_DAY for n in range(len(days))]
    assert (days[0], days[-1]) == (day_of(logins[0].at, ZONE), day_of(datetime.now(UTC), ZONE))
    states = Counter(run.state for run in await desk.runs("usage", 100))
    assert (states[State.INTERRUPTED], states[State.COMPLETED]) == (KILLS, 1)
