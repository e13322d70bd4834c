"""Servers that are killed, frozen and stopped while they run a job: each step is done once, and none is skipped."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from promise_pub.db import apply_scheme, open_pool
from promise_pub.features.jobs.records import JobRun, State
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.settings.model import DatabaseSettings
from tests.faults.parts import DatabasePart
from tests.jobs.counting import POINTS, TABLES, begun, counts
from tests.services import RunningCommand, StartCommand
from tests.web_parts import until

ROOT = Path(__file__).parents[3]
DAYS = 6
KILLS, SOAK_KILLS = 40, 500
SEED = 20261130
ENDLESS = 1_000_000  # days: more than are counted while servers are killed

StartServer = Callable[..., Awaitable[RunningCommand]]


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database, max_size=3) as pool:
        await pool.execute(TABLES)
        yield pool


@pytest.fixture
def desk(pool: asyncpg.Pool) -> StoredJobs:
    return StoredJobs(pool)


@pytest.fixture
def start(database: DatabaseSettings, start_process: StartCommand) -> StartServer:
    return starting(database, start_process)


def starting(database: DatabaseSettings, start_process: StartCommand) -> StartServer:
    async def start(
        days: int = DAYS, point: str = "", at: int = -1, what: str = "", rest: float = 0.0, silence: float = 60.0
    ) -> RunningCommand:
        given = {"days": days, "point": point, "at": at, "what": what, "rest": rest, "silence": silence}
        text = json.dumps({"database": asdict(database), **given})
        return await start_process(text, program=("-m", "tests.jobs.counting"), cwd=ROOT)

    return start


async def ask(server: RunningCommand, desk: StoredJobs) -> JobRun:
    """Asks for a run once the server has declared its job."""
    await server.wait_for("serving")

    async def is_known() -> bool:
        return bool(await desk.known())

    await until(is_known)
    return await desk.ask("counting", {}, None)


async def all_done(desk: StoredJobs) -> list[JobRun]:
    async def are_done() -> list[JobRun] | None:
        runs = await desk.runs("counting", 100)
        return [*reversed(runs)] if runs[0].state is State.COMPLETED else None

    found = await until(are_done)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("point", POINTS)
async def test_a_server_that_is_killed_at_a_point_of_a_step(
    start: StartServer, desk: StoredJobs, pool: asyncpg.Pool, point: str
) -> None:
    first = await start(point=point, at=2, what="KILL")
    await ask(first, desk)
    second = await start(point=point, at=4)
    assert await first.finish() == -signal.SIGKILL
    runs = await all_done(desk)
    assert [run.state for run in runs] == [State.INTERRUPTED, State.COMPLETED]
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
    assert await desk.cookies("counting") == {"next": DAYS}
    assert await begun(pool) == DAYS + (point != "committed")
    assert await second.stop() == 0


async def test_another_server_goes_on_soon_for_one_that_is_killed(
    start: StartServer, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    first = await start(point="worked", at=2, what="HANG")
    await ask(first, desk)
    await first.wait_for("at worked of 2")
    second = await start()
    await second.wait_for("serving")
    killed_at = datetime.now(UTC)
    await first.kill()
    _, resumed = await all_done(desk)
    assert resumed.started_at and resumed.started_at - killed_at < timedelta(seconds=5)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)


async def test_servers_that_are_killed_at_random_moments(
    start: StartServer, desk: StoredJobs, pool: asyncpg.Pool, request: pytest.FixtureRequest
) -> None:
    """Three at a time, the one that runs the job more often than others."""
    chance = random.Random(SEED)
    kills = SOAK_KILLS if request.config.getoption("soak") else KILLS
    servers = [await start(ENDLESS, rest=0.002) for _ in range(3)]
    await ask(servers[0], desk)
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.0, 0.4))
        runner = await pool.fetchval("SELECT server FROM counted ORDER BY day DESC LIMIT 1")
        victim = next((one for one in servers if str(one.pid) == runner), servers[0])
        if chance.random() < 0.2:
            victim = chance.choice(servers)
        servers.remove(victim)
        await victim.kill()
        servers.append(await start(ENDLESS, rest=0.002))
        await servers[0].wait_for("serving")

    async def goes_on() -> bool:
        """Tells whether one that lives has taken over from the last that was killed."""
        runner = await pool.fetchval("SELECT server FROM counted ORDER BY day DESC LIMIT 1")
        return runner in {str(one.pid) for one in servers}

    for server in servers:
        await server.wait_for("serving")
    await until(goes_on)
    for server in servers:
        assert await server.stop() == 0
    counted = await counts(pool)
    assert counted == dict.fromkeys(range(len(counted)), 1), "each day once, and none skipped"
    assert len(counted) > kills, "the job went on between kills"
    assert await desk.cookies("counting") == {"next": len(counted)}
    # Each server that was killed, or stopped, may have begun one day more.
    assert 0 <= await begun(pool) - len(counted) <= kills + len(servers)
    states = {run.state for run in await desk.runs("counting", 1000)}
    assert states <= {State.INTERRUPTED, State.WAITING}


async def test_a_server_that_is_frozen_in_a_step_holds_nobody_up_and_writes_nothing_late(
    start: StartServer, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    first = await start(point="worked", at=2, what="STOP", silence=1.5)
    run = await ask(first, desk)
    await first.wait_for("at worked of 2")
    second = await start()
    await second.wait_for("serving")

    async def is_unlocked() -> bool:
        return bool(await pool.fetchval("SELECT id FROM job_runs WHERE id = $1 FOR UPDATE SKIP LOCKED", run.id))

    await until(is_unlocked)
    await asyncio.sleep(0.5)
    # It may only be slow: as long as it lives nobody else runs the job.
    assert [run.state for run in await desk.runs("counting", 10)] == [State.RUNNING]
    assert await counts(pool) == dict.fromkeys(range(2), 1)
    first.process.send_signal(signal.SIGCONT)
    failed, *_ = await all_done(desk)
    assert failed.state is State.FAILED and failed.error_code in ("database_unavailable", "database_failed")
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
    assert await begun(pool) == DAYS + 1


async def test_a_server_that_is_told_to_stop_in_a_step_leaves_it_to_others(
    start: StartServer, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    first = await start(point="worked", at=2, what="HANG")
    await ask(first, desk)
    await first.wait_for("at worked of 2")
    assert await first.stop(within=10) == 0
    assert [run.state for run in await desk.runs("counting", 10)] == [State.WAITING, State.INTERRUPTED]
    assert await counts(pool) == dict.fromkeys(range(2), 1)
    await start()
    await all_done(desk)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)


async def test_a_database_that_is_killed_in_a_step_is_waited_for(
    tmp_path_factory: pytest.TempPathFactory, start_process: StartCommand
) -> None:
    folder = tmp_path_factory.mktemp("faults")
    folder.chmod(0o700)
    database = DatabasePart(folder)
    await database.start()
    try:
        async with open_pool(database.settings, max_size=1) as pool:
            await apply_scheme(pool)
            await pool.execute(TABLES)
        start = starting(database.settings, start_process)
        server = await start(point="worked", at=2, what="REST")
        async with open_pool(database.settings, max_size=1) as pool:
            await ask(server, StoredJobs(pool))
        await server.wait_for("at worked of 2")
        await database.kill()
        await server.wait_for("The end of a job's run is not written|Jobs are not run")
        await database.start()
        async with open_pool(database.settings, max_size=1) as pool:
            runs = await all_done(StoredJobs(pool))
            assert len(runs) == 2 and runs[0].state in (State.FAILED, State.INTERRUPTED)
            assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
            # What a sequence counted before a crash may be more than was used.
            assert await begun(pool) >= DAYS + 1
    finally:
        await database.stop()
