"""Runs of jobs whose server dies, stops, or is only thought dead: cut off, taken over, and done once all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

import asyncpg
import pytest

from promise_pub.features.jobs.errors import JobWaiting
from promise_pub.features.jobs.records import JobRun, Reason, State
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.runner import run_here
from promise_pub.features.jobs.states import Waits
from promise_pub.features.jobs.store import StoredJobs
from tests.contract.jobs.conftest import JobServer, Start, all_ended, ended, known
from tests.jobs.counting import Gate, begun, counting_job, counts
from tests.web_parts import until

DAYS = 5


@pytest.mark.parametrize("point", ["begun", "worked", "kept", "committed"])
async def test_a_run_whose_server_dies_goes_on_elsewhere_from_the_last_step(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, point: str
) -> None:
    gate = Gate(point, 2)
    first = await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    await desk.ask("counting", {}, "ann")
    await gate.reached.wait()
    second = await start(counting_job(DAYS))
    await first.die()
    interrupted, resumed = await all_ended(desk, "counting", 2)
    assert (interrupted.state, interrupted.error_code) == (State.INTERRUPTED, "interrupted")
    assert (resumed.state, resumed.reason, resumed.attempt) == (State.COMPLETED, Reason.RESUMED, 2)
    assert (resumed.after, resumed.asked_by, resumed.server) == (interrupted.id, "ann", second.locks.server)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
    assert await begun(pool) == DAYS + (point != "committed")
    gate.opened.set()


async def test_a_run_that_a_server_has_without_knowing_goes_on(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    """The answer by which it was given the run was lost."""
    server = await start(counting_job(DAYS))
    await known(desk, "counting")
    await RunQueue(pool, server.locks.server, Waits()).begin("counting", {}, None)
    interrupted, resumed = await all_ended(desk, "counting", 2)
    assert (interrupted.state, resumed.state) == (State.INTERRUPTED, State.COMPLETED)


async def test_the_end_of_a_run_is_written_however_long_the_database_is_away(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate("committed", DAYS - 1)
    await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    run = await desk.ask("counting", {}, None)
    await gate.reached.wait()
    await pool.execute("ALTER TABLE job_runs RENAME TO elsewhere")
    gate.opened.set()

    async def is_told() -> bool:
        return "The end of a job's run is not written" in caplog.messages

    await until(is_told)
    await pool.execute("ALTER TABLE elsewhere RENAME TO job_runs")
    assert (await ended(desk, run.id)).state is State.COMPLETED
    assert len(await desk.runs("counting", 10)) == 1


async def test_a_step_that_outlives_its_server_holds_up_nobody(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    await RunQueue(pool, 1, Waits()).declare([counting_job(DAYS)])
    dead = await RunQueue(pool, 12345, Waits()).begin("counting", {}, None)
    async with pool.acquire() as connection:
        async with connection.transaction():
            # The database has not noticed yet that nobody is at the other end.
            await connection.execute("SELECT FROM job_runs WHERE id = $1 FOR UPDATE", dead.id)
            await start(counting_job(DAYS), replace(counting_job(DAYS), name="other"))
            await known(desk, "other")
            other = await desk.ask("other", {}, None)
            assert (await ended(desk, other.id)).state is State.COMPLETED
            with pytest.raises(JobWaiting):
                await run_here(counting_job(DAYS), pool, {"a": "b"}, None)
            assert (await desk.run(dead.id)).state is State.RUNNING
    interrupted, resumed = await all_ended(desk, "counting", 2)
    assert (interrupted.state, resumed.state) == (State.INTERRUPTED, State.COMPLETED)


async def test_a_server_that_is_thought_dead_writes_nothing_when_it_comes_back(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate("committed", 1)
    await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    run = await desk.ask("counting", {}, None)
    await gate.reached.wait()
    await pool.execute("UPDATE job_runs SET state = 'interrupted', ended_at = now() WHERE id = $1", run.id)
    gate.opened.set()

    async def has_noticed() -> bool:
        return "A run of a job is not this server's any more" in caplog.messages

    await until(has_noticed)
    assert await counts(pool) == dict.fromkeys(range(2), 1)
    assert await desk.cookies("counting") == {"next": 2}


async def test_a_connection_that_is_ended_in_a_step_takes_the_step_back(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gate = Gate("worked", 2)
    await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    await desk.ask("counting", {}, None)
    await gate.reached.wait()
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE state = 'idle in transaction' AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    gate.opened.set()
    failed, retried = await all_ended(desk, "counting", 2)
    assert (failed.state, failed.error_code) == (State.FAILED, "database_unavailable")
    assert (retried.state, retried.reason) == (State.COMPLETED, Reason.RETRY)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
    assert await begun(pool) == DAYS + 1


async def test_an_orderly_stop_lets_a_step_end_and_others_go_on(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gate = Gate("kept", 2)
    first = await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    await desk.ask("counting", {}, None)
    await gate.reached.wait()
    asyncio.get_running_loop().call_later(0.2, gate.opened.set)
    await first.stop()
    assert await counts(pool) == dict.fromkeys(range(3), 1)
    (waiting, interrupted) = await desk.runs("counting", 10)
    assert (interrupted.state, waiting.state, waiting.reason) == (State.INTERRUPTED, State.WAITING, Reason.RESUMED)
    await start(counting_job(DAYS))
    await all_ended(desk, "counting", 2)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)


async def test_an_orderly_stop_rolls_a_step_back_that_does_not_end(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gate = Gate("kept", 2)
    first = await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    await desk.ask("counting", {}, None)
    await gate.reached.wait()
    async with asyncio.timeout(10):
        await first.stop()
    assert [run.state for run in await desk.runs("counting", 10)] == [State.WAITING, State.INTERRUPTED]
    assert await counts(pool) == dict.fromkeys(range(2), 1)


async def test_a_run_that_is_claimed_just_as_its_server_stops_is_left_to_others_at_once(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, is_claimed = RunQueue.claim, asyncio.Event()

    async def claim_slowly(queue: RunQueue, jobs: Collection[str]) -> JobRun | None:
        run = await claim(queue, jobs)
        if run:
            is_claimed.set()
            await asyncio.sleep(0.2)
        return run

    monkeypatch.setattr(RunQueue, "claim", claim_slowly)
    server = await start(counting_job(DAYS))
    await known(desk, "counting")
    await desk.ask("counting", {}, None)
    await is_claimed.wait()
    await server.stop()
    assert [run.state for run in await desk.runs("counting", 10)] == [State.WAITING, State.INTERRUPTED]
    assert await counts(pool) == {}


async def test_a_job_that_kills_its_servers_fails_at_its_last_try(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gates = [Gate("worked", 0) for _ in range(3)]
    servers: list[JobServer] = []
    for gate in gates:
        servers.append(await start(counting_job(DAYS, gate, attempts=3)))
        if gate is gates[0]:
            await known(desk, "counting")
            await desk.ask("counting", {}, None)
        await gate.reached.wait()
        await servers[-1].die()
    await start(counting_job(DAYS, attempts=3))
    runs = await all_ended(desk, "counting", 3)
    assert [run.state for run in runs] == [State.INTERRUPTED, State.INTERRUPTED, State.FAILED]
    assert {run.error_code for run in runs} == {"interrupted"}
    assert await counts(pool) == {}
    for gate in gates:
        gate.opened.set()


async def test_a_cancelled_run_of_a_dead_server_is_not_tried_again(start: Start, desk: StoredJobs) -> None:
    gate = Gate("worked", 0)
    first = await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    run = await desk.ask("counting", {}, None)
    await gate.reached.wait()
    await desk.cancel(run.id)
    await first.die()
    await start(counting_job(DAYS))
    (only,) = await all_ended(desk, "counting", 1)
    assert only.state is State.CANCELLED
    gate.opened.set()
