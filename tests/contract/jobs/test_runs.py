"""Runs of jobs: asked for, begun once over all servers, tried again, cancelled; their rights, their cost."""

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
from tests.contract.jobs.conftest import Start, all_ended, ended, known
from tests.jobs.counting import QUICK, Gate, begun, counting_job, counts
from tests.roles import role_with
from tests.web_parts import until

DAYS = 5


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


async def test_a_run_has_begun_once_the_one_before_has_ended_however_long_its_claim_waits(
    desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    """Another server claims and ends the run before, while the claim waits for it at the index of those that go on."""
    queue = RunQueue(pool, 1, Waits())
    await queue.declare([counting_job(DAYS)])
    first, second = await desk.ask("counting", {"n": "1"}, None), await desk.ask("counting", {"n": "2"}, None)
    async with pool.acquire() as other, other.transaction():
        await other.execute("UPDATE job_runs SET state = 'running', started_at = now() WHERE id = $1", first.id)
        claiming = asyncio.create_task(queue.claim(["counting"]))

        async def waits() -> bool:
            return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

        await until(waits)
        await other.execute(
            "UPDATE job_runs SET state = 'completed', ended_at = clock_timestamp() WHERE id = $1", first.id
        )
    claimed, before = await claiming, await desk.run(first.id)
    assert claimed and claimed.id == second.id
    assert claimed.started_at and before.ended_at and before.ended_at <= claimed.started_at


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
