"""Runs of jobs: asked for, begun once over all servers, tried again, cancelled, cut off and taken over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from promise_pub.db import open_pool
from promise_pub.db_checks import Need
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import BadParameter, BrokerLost, TooManyWaiting
from promise_pub.features.jobs.errors import JobEnded, JobNotFound, JobRunNotFound, JobWaiting
from promise_pub.features.jobs.keeper import JobsKeeper, open_keeper
from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.runner import run_here
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.states import End, Waits
from promise_pub.features.jobs.store import NEEDS, NEEDS_TO_SHOW, StoredJobs
from promise_pub.jobs import Job, Work
from promise_pub.settings.model import DatabaseSettings
from tests.contract.jobs.conftest import JobServer, Start, all_ended, ended, known
from tests.jobs.counting import QUICK, begun, counting_job, counts
from tests.roles import role_with
from tests.web_parts import until

DAYS = 5


class Gate:
    """A hook that holds a run at a point of a day until it is opened."""

    def __init__(self, point: str, day: int) -> None:
        self._where = (point, day)
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, point: str, day: int) -> None:
        if (point, day) == self._where:
            self.reached.set()
            await self.opened.wait()


def failing_job(error: Exception, attempts: int = 3) -> Job:
    async def fail(_: Work) -> None:
        raise error

    return Job(name="failing", title="Fails.", run=fail, attempts=attempts)


async def test_a_run_that_was_asked_for_is_done_in_steps_and_told(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    server = await start(counting_job(DAYS))
    await known(desk, "counting")
    run = await desk.ask("counting", {"start": "1"}, "ann")
    assert (run.state, run.reason, run.arguments, run.asked_by) == (State.WAITING, Reason.ASKED, {"start": "1"}, "ann")
    run = await ended(desk, run.id)
    assert (run.state, run.done, run.total, run.message) == (State.COMPLETED, DAYS, DAYS, "day 4")
    assert run.started_at and run.progressed_at and run.ended_at and run.error_code is None
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)
    assert await desk.cookies("counting") == {"next": DAYS}
    again = await start(counting_job(DAYS))
    for one in (server, again):

        async def knows(keeper: JobsKeeper = one.keeper) -> bool:
            return keeper.last_completed == {"counting": run.ended_at}

        await until(knows)
    assert (server.keeper.ended, again.keeper.ended) == ({("counting", State.COMPLETED): 1}, {})


async def test_what_cannot_be_asked_for_is_refused(desk: StoredJobs, pool: asyncpg.Pool) -> None:
    with pytest.raises(JobNotFound):
        await desk.ask("counting\0", {}, None)
    with pytest.raises(JobNotFound):
        await desk.pause("counting", True)
    await RunQueue(pool, 1, Waits()).declare([counting_job(DAYS)])
    first = await desk.ask("counting", {"b": "2", "a": "1"}, "ann")
    with pytest.raises(JobWaiting, match=str(first.id)):
        await desk.ask("counting", {"a": "1", "b": "2"}, "bob")
    for n in range(99):
        await desk.ask("counting", {"n": str(n)}, None)
    with pytest.raises(TooManyWaiting):
        await desk.ask("counting", {}, None)
    assert (await desk.cancel(first.id)).state is State.CANCELLED
    with pytest.raises(JobEnded):
        await desk.cancel(first.id)
    for unknown in (0, -1, first.id + 1000, 2**70):
        with pytest.raises(JobRunNotFound):
            await desk.cancel(unknown)
        with pytest.raises(JobRunNotFound):
            await desk.run(unknown)
    newest = await desk.runs("counting", 2)
    assert [run.arguments for run in newest] == [{"n": "98"}, {"n": "97"}]
    assert (await desk.runs(None, 1, before=newest[-1].id))[0].arguments == {"n": "96"}
    assert len(await desk.newest_runs()) == 100


async def test_three_servers_do_each_run_once_and_one_at_a_time(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    going, most = 0, 0

    async def watch(point: str, _: int) -> None:
        nonlocal going, most
        going += {"begun": 1, "committed": -1}.get(point, 0)
        most = max(most, going)
        await asyncio.sleep(0)

    for _ in range(3):
        await start(counting_job(10, watch))
    await known(desk, "counting")
    for n in range(12):
        await desk.ask("counting", {"n": str(n)}, None)
    runs = await all_ended(desk, "counting", 12)
    assert [run.state for run in runs] == [State.COMPLETED] * 12
    assert most == 1 and await begun(pool) == 10
    for earlier, later in zip(runs, runs[1:], strict=False):
        assert earlier.ended_at and later.started_at and earlier.ended_at <= later.started_at


async def test_two_runs_go_on_at_once_on_a_server(start: Start, desk: StoredJobs) -> None:
    gates = [Gate("begun", 0) for _ in range(3)]
    jobs = [replace(counting_job(1, gate), name=f"job-{n}") for n, gate in enumerate(gates)]
    server = await start(*jobs)
    for job in jobs:
        await known(desk, job.name)
        await desk.ask(job.name, {}, None)
    await gates[0].reached.wait()
    await gates[1].reached.wait()
    assert {*server.keeper.running} == {"job-0", "job-1"}
    await start(*jobs)
    await gates[2].reached.wait()
    for gate in gates:
        gate.opened.set()


@pytest.mark.parametrize(("passes", "tries"), [(True, 3), (False, 1)])
async def test_a_run_that_fails_is_tried_again_unless_its_error_cannot_pass(
    start: Start, desk: StoredJobs, passes: bool, tries: int
) -> None:
    await start(failing_job(BrokerLost("It went away.") if passes else BadParameter("The end is before the start.")))
    await known(desk, "failing")
    asked = await desk.ask("failing", {"a": "b"}, "ann")
    runs = await all_ended(desk, "failing", tries)
    assert [run.state for run in runs] == [State.FAILED] * tries
    assert [run.attempt for run in runs] == [*range(1, tries + 1)]
    assert [run.after for run in runs] == [None, *(run.id for run in runs[:-1])]
    assert {run.error_code for run in runs} == {"broker_lost" if passes else "bad_parameter"}
    assert [run.reason for run in runs[1:]] == [Reason.RETRY] * (tries - 1)
    assert {run.asked_by for run in runs} == {"ann"} and runs[0].id == asked.id


async def test_an_unexpected_error_is_logged_and_tried_again(
    start: Start, desk: StoredJobs, caplog: pytest.LogCaptureFixture
) -> None:
    await start(failing_job(ZeroDivisionError("a secret"), attempts=2))
    await known(desk, "failing")
    await desk.ask("failing", {}, None)
    runs = await all_ended(desk, "failing", 2)
    assert {run.error_code for run in runs} == {"internal"}
    assert runs[0].error_message and "ZeroDivisionError" in runs[0].error_message
    assert "secret" not in runs[0].error_message
    assert any(record.exc_info for record in caplog.records)


async def test_a_failure_stays_a_wait_away(desk: StoredJobs, pool: asyncpg.Pool) -> None:
    queue = RunQueue(pool, 1, Waits())
    await queue.declare([failing_job(ValueError())])
    run = await queue.begin("failing", {}, None)
    await queue.end(run.id, 1, 5, End.FAILED, BrokerLost())
    (following, _) = await desk.runs("failing", 2)
    assert timedelta(seconds=50) < following.not_before - following.created_at < timedelta(seconds=70)
    assert await queue.claim(["failing"]) is None
    # Whoever asks for the same does not wait for that time.
    asked = await desk.ask("failing", {}, "ann")
    assert asked.id == following.id
    claimed = await queue.claim(["failing"])
    assert claimed and claimed.id == following.id and claimed.attempt == 2


async def test_a_run_that_goes_on_is_cancelled_at_its_next_step(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gate = Gate("kept", 2)
    await start(counting_job(DAYS, gate))
    await known(desk, "counting")
    run = await desk.ask("counting", {}, None)
    await gate.reached.wait()
    # The step holds the row of the run: whoever cancels does not wait for it.
    async with asyncio.timeout(5):
        assert (await desk.cancel(run.id)).cancelling
        assert (await desk.cancel(run.id)).cancelling
    gate.opened.set()
    assert (await ended(desk, run.id)).state is State.CANCELLED
    assert await counts(pool) == dict.fromkeys(range(3), 1)
    assert await desk.cookies("counting") == {"next": 3}
    assert await pool.fetchval("SELECT count(*) FROM job_cancellations") == 0
    assert len(await desk.runs("counting", 10)) == 1
    await desk.ask("counting", {}, None)
    await all_ended(desk, "counting", 2)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)


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


async def test_a_server_without_jobs_runs_none(start: Start, desk: StoredJobs, pool: asyncpg.Pool) -> None:
    await RunQueue(pool, 1, Waits()).declare([counting_job(DAYS)])
    run = await desk.ask("counting", {}, None)
    await start(counting_job(DAYS), settings=JobsSettings(enabled=False))
    other = await start(replace(counting_job(DAYS), name="other"))
    await known(desk, "other")
    await other.keeper.look()
    assert (await desk.run(run.id)).state is State.WAITING


async def test_a_run_of_the_command_line_is_fenced_as_all_are(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    run = await run_here(counting_job(DAYS), pool, {"a": "b"}, "ann")
    assert (run.state, run.reason, run.arguments) == (State.COMPLETED, Reason.ASKED, {"a": "b"})
    gate = Gate("begun", DAYS)
    await start(counting_job(DAYS + 1, gate))
    await desk.ask("counting", {}, None)
    await gate.reached.wait()
    with pytest.raises(JobWaiting):
        await run_here(counting_job(DAYS + 1), pool, {}, None)
    gate.opened.set()


async def test_a_cancelled_run_of_the_command_line_is_left_to_servers(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    gate = Gate("kept", 2)
    here = asyncio.create_task(run_here(counting_job(DAYS, gate), pool, {}, None))
    await gate.reached.wait()
    here.cancel()
    with pytest.raises(asyncio.CancelledError):
        await here
    await start(counting_job(DAYS))
    interrupted, resumed = await all_ended(desk, "counting", 2)
    assert (interrupted.state, resumed.state) == (State.INTERRUPTED, State.COMPLETED)
    assert await counts(pool) == dict.fromkeys(range(DAYS), 1)


async def test_a_look_at_which_nothing_is_due_is_one_query(start: Start, desk: StoredJobs) -> None:
    server = await start(counting_job(DAYS, schedule="0 0 1 1 *"), pace=replace(QUICK, look=3600, declare=3600))
    await known(desk, "counting")
    await server.keeper.look()
    asked: list[str] = []
    # The connection that was used last is used next.
    async with server.pool.acquire() as connection:
        connection.add_query_logger(lambda query: asked.append(query.query))
    asked.clear()
    await server.keeper.look()
    assert len(asked) == 1 and "job_schedules" in asked[0]


async def test_the_rights_that_are_asked_for_are_enough(
    database: DatabaseSettings, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    counted = (Need("counted", "SELECT INSERT UPDATE"),)
    async with role_with(pool, database, (*NEEDS, *counted)) as ours, open_pool(ours, max_size=4) as theirs:
        await pool.execute(f"GRANT USAGE ON SEQUENCE begun TO {ours.user}")
        job = counting_job(DAYS, schedule="* * * * *")
        async with ServerLocks(theirs) as locks, open_keeper([job], theirs, locks, JobsSettings(), QUICK) as keeper:
            await known(desk, "counting")
            run = await desk.ask("counting", {}, None)
            assert (await ended(desk, run.id)).state is State.COMPLETED
            await pool.execute("UPDATE job_schedules SET last_due = now() - interval '1 day'")
            await all_ended(desk, "counting", 2)
            assert await keeper._queue.sweep(timedelta(days=1), [])
        async with role_with(pool, database, NEEDS_TO_SHOW) as ours, open_pool(ours, max_size=1) as viewers:
            shown = StoredJobs(viewers)
            asked = await shown.ask("counting", {"a": "b"}, "ann")
            assert (await shown.cancel(asked.id)).state is State.CANCELLED
            assert (await shown.pause("counting", True)).paused
            assert len(await shown.newest_runs()) and await shown.known() and await shown.cookies("counting")
