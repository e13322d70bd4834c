"""Jobs that are due by the clock of the database: once over all servers, one run for all that were missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest

from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.states import End, Waits
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.jobs import Job, Work
from promise_pub.schedules import Schedule
from tests.contract.jobs.conftest import Start, all_ended, known
from tests.jobs.counting import QUICK
from tests.web_parts import until

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Often:
    """A schedule that is due each so often, where cron's are due each minute."""

    width: timedelta
    text: str = "* * * * *"
    zone: Any = UTC

    def last_due(self, at: datetime) -> datetime:
        return EPOCH + (at - EPOCH) // self.width * self.width

    def next_due(self, after: datetime) -> datetime:
        return self.last_due(after) + self.width

    def missed(self, after: datetime, until: datetime) -> int:
        return max(0, (self.last_due(until) - self.last_due(after)) // self.width - 1)


def job(schedule: Any = None, run: Callable[[Work], Awaitable[None]] | None = None) -> Job:
    async def nothing(_: Work) -> None: ...

    return Job(name="due", title="Is due.", run=run or nothing, schedule=cast(Schedule, schedule))


async def set_last_due(pool: asyncpg.Pool, ago: timedelta) -> datetime:
    """Sets the time up to which due times were seen to."""
    last: datetime = await pool.fetchval(
        "UPDATE job_schedules SET last_due = now() - $1::interval RETURNING last_due", ago
    )
    return last


async def test_each_due_time_is_seen_to_once_by_three_servers(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    schedule = Often(timedelta(milliseconds=40))
    going = most = 0

    async def watch(_: Work) -> None:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.01)
        going -= 1

    servers = [await start(job(schedule, watch)) for _ in range(3)]
    await known(desk, "due")
    first = (await desk.known())[0].last_due

    async def have_come() -> bool:
        return (await desk.known())[0].last_due - first >= 200 * schedule.width

    await until(have_come)
    await desk.pause("due", True)
    runs = await all_ended(desk, "due", 1)
    newest = max(run.due for run in runs if run.due)
    assert {run.reason for run in runs} == {Reason.SCHEDULE}
    assert len({run.due for run in runs}) == len(runs)
    # Those of due times that came while a run waited stand in it: they are later than its own.
    seen_to = sum(run.missed + 1 for run in runs)
    assert seen_to >= schedule.missed(first, newest) + 1 >= 150
    assert most == 1 and {run.state for run in runs} == {State.COMPLETED}
    assert sum(server.keeper.ended["due", State.COMPLETED] for server in servers) == len(runs)


async def test_all_that_were_missed_are_one_run(start: Start, desk: StoredJobs, pool: asyncpg.Pool) -> None:
    daily = job(Schedule("30 1 * * *"))
    await RunQueue(pool, 1, Waits()).declare([daily])
    last = await set_last_due(pool, timedelta(days=3))
    for _ in range(3):
        await start(daily)
    (run,) = await all_ended(desk, "due", 1)
    now = await desk.now()
    assert (run.reason, run.missed, run.due) == (Reason.SCHEDULE, 2, Schedule("30 1 * * *").last_due(now))
    assert (await desk.known())[0].last_due == run.due
    assert last < now


async def test_a_job_that_is_seen_for_the_first_time_has_missed_nothing(start: Start, desk: StoredJobs) -> None:
    await start(job(Schedule("0 0 1 1 *")))
    await known(desk, "due")
    await asyncio.sleep(0.3)
    assert await desk.runs("due", 10) == []
    (known_job,) = await desk.known()
    assert (known_job.schedule, known_job.zone, known_job.paused) == ("0 0 1 1 *", "UTC", False)


async def test_a_due_time_of_a_job_that_waits_is_told_there(desk: StoredJobs, pool: asyncpg.Pool) -> None:
    queue = RunQueue(pool, 1, Waits())
    await queue.declare([job(Schedule("* * * * *"))])
    waiting = await desk.ask("due", {}, "ann")
    for missed, told in ((0, 1), (3, 5), (2000, 1001)):
        await set_last_due(pool, timedelta(days=1))
        (standing,) = await queue.look(["due"])
        assert await queue.fall_due(standing, standing.now, missed)
        # Another server that saw the same comes too late.
        assert not await queue.fall_due(standing, standing.now, missed)
        (run,) = await desk.runs("due", 10)
        assert (run.id, run.missed) == (waiting.id, told)


async def test_due_times_of_a_paused_job_are_passed_over(start: Start, desk: StoredJobs, pool: asyncpg.Pool) -> None:
    each_minute = job(Schedule("* * * * *"))
    await RunQueue(pool, 1, Waits()).declare([each_minute])
    assert (await desk.pause("due", True)).paused
    last = await set_last_due(pool, timedelta(hours=1))
    await start(each_minute)

    async def is_seen_to() -> bool:
        return (await desk.known())[0].last_due > last

    await until(is_seen_to)
    assert await desk.runs("due", 10) == []
    asked = await desk.ask("due", {}, None)
    (run,) = [run for run in await all_ended(desk, "due", 1) if run.id == asked.id]
    assert run.state is State.COMPLETED
    assert not (await desk.pause("due", False)).paused


async def test_a_run_that_takes_longer_than_its_interval_is_followed_by_one(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    opened = asyncio.Event()
    starts = 0

    async def wait(_: Work) -> None:
        nonlocal starts
        starts += 1
        await opened.wait()

    schedule = Often(timedelta(milliseconds=50))
    for _ in range(2):
        await start(job(schedule, wait))

    async def is_late() -> bool:
        return any(run.missed > 5 for run in await desk.runs("due", 10))

    await until(is_late)
    assert starts == 1
    assert [run.state for run in await desk.runs("due", 10)] == [State.WAITING, State.RUNNING]
    await desk.pause("due", True)
    opened.set()
    assert len(await all_ended(desk, "due", 2)) <= 3


async def test_a_clock_that_was_a_year_ahead_is_forgotten(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Often(timedelta(milliseconds=100))
    queue = RunQueue(pool, 1, Waits())
    await queue.declare([job(schedule)])
    # Due times of the coming seconds were seen to, a try is to come in a year, and a run was begun in a year.
    await set_last_due(pool, -YEAR)
    coming = [schedule.last_due(await desk.now()) + n * schedule.width for n in range(200)]
    await pool.executemany(
        "INSERT INTO job_runs (job, reason, due, state, ended_at)"
        " VALUES ('due', 'schedule', $1, 'completed', now() + interval '1 year')",
        [(due,) for due in coming],
    )
    await pool.execute(
        "INSERT INTO job_runs (job, reason, state, arguments, not_before)"
        """ VALUES ('due', 'retry', 'waiting', '{"a": "b"}', now() + interval '1 year')"""
    )
    await start(job(schedule))

    async def is_due_again() -> bool:
        runs = await desk.runs("due", 10)
        again = [run for run in runs if run.due in coming and run.server and run.state is State.COMPLETED]
        return len(again) > 3

    await until(is_due_again)
    warned = [record for record in caplog.records if "clock of the database was wrong" in record.message]
    assert len(warned) == 1
    assert await pool.fetchval("SELECT state FROM job_runs WHERE reason = 'retry'") == "completed"


async def test_old_runs_are_swept_but_never_the_newest_of_a_job(desk: StoredJobs, pool: asyncpg.Pool) -> None:
    queue = RunQueue(pool, 1, Waits())
    other = replace(job(), name="other")
    await queue.declare([job(), other])
    for one, count in (("due", 4), ("other", 1)):
        for _ in range(count):
            run = await queue.begin(one, {}, None)
            await queue.end(run.id, 1, 1, End.COMPLETED)
    await pool.execute("UPDATE job_runs SET ended_at = now() - interval '91 days' WHERE id <> 2")
    waiting = await desk.ask("other", {}, None)
    await pool.execute("INSERT INTO job_cancellations (run) VALUES (1), ($1)", waiting.id)
    assert await queue.sweep(timedelta(days=90), [])
    assert [run.id for run in await desk.runs(None, 10)] == [waiting.id, 4, 2]
    assert await pool.fetchval("SELECT count(*) FROM job_cancellations") == 0


async def test_a_job_that_no_server_has_any_more_goes_with_what_it_kept(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    await start(job(), pace=replace(QUICK, declare=3600, sweep=0.3))
    await known(desk, "due")
    await RunQueue(pool, 1, Waits()).declare([replace(job(), name="old")])
    await desk.ask("old", {}, None)
    await pool.execute("INSERT INTO job_cookies (job, name, value) VALUES ('old', 'a', '1'), ('due', 'a', '1')")
    # As where the clock has jumped: one that a server has stays.
    await pool.execute("UPDATE job_schedules SET seen_at = now() - interval '91 days'")

    async def is_swept() -> bool:
        return [one.name for one in await desk.known()] == ["due"]

    await until(is_swept)
    assert await desk.runs(None, 10) == []
    assert await pool.fetchval("SELECT array_agg(job) FROM job_cookies") == ["due"]


async def test_a_job_whose_row_was_deleted_is_declared_again(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool
) -> None:
    await start(job(), pace=replace(QUICK, declare=3600))
    await known(desk, "due")
    await pool.execute("DELETE FROM job_schedules")
    await known(desk, "due")


async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    start: Start, desk: StoredJobs, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = await start(job(Often(timedelta(milliseconds=100))))
    await all_ended(desk, "due", 1)
    await pool.execute("ALTER TABLE job_schedules RENAME TO elsewhere")

    def told(words: str) -> int:
        return [record.message for record in caplog.records].count(words)

    async def is_told() -> bool:
        return bool(told("Jobs are not run"))

    await until(is_told)
    await asyncio.sleep(0.5)
    await pool.execute("ALTER TABLE elsewhere RENAME TO job_schedules")

    async def is_over() -> bool:
        return bool(told("Jobs are run again"))

    await until(is_over)
    assert (told("Jobs are not run"), told("Jobs are run again")) == (1, 1)
    before = server.keeper.ended["due", State.COMPLETED]

    async def goes_on() -> bool:
        return server.keeper.ended["due", State.COMPLETED] > before

    await until(goes_on)
