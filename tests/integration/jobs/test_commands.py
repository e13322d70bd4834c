"""`promise-pub jobs`: lists, runs, shows, cancels, pauses; follows runs of a server, and runs jobs itself."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import pytest

from promise_pub import cli, db
from promise_pub.cli.arguments import parse
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import BadParameter
from promise_pub.features.jobs.feature import feature_of
from promise_pub.features.jobs.keeper import open_keeper
from promise_pub.features.jobs.records import JobRun
from promise_pub.features.jobs.report import JOB_COLUMNS, RUN_COLUMNS
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.states import Waits
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.jobs import Job, Work
from promise_pub.schedules import Schedule
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import PATIENCE, Said
from tests.jobs.fake_desk import USAGE
from tests.web_parts import until

FEATURE = feature_of(lambda *_: JOBS)


async def count_days(work: Work) -> None:
    for day in range(1, 4):
        async with work.step() as step:
            await step.progress(day, 3, f"day {day}")


async def fail(_: Work) -> None:
    raise BadParameter("There is nothing to count.")


async def break_down(_: Work) -> None:
    raise RuntimeError("No disk.")


async def wait(work: Work) -> None:
    while True:
        async with work.step() as step:
            await step.progress(1, None, "waits")
        await asyncio.sleep(0.05)


JOBS = [
    Job(name="usage", title="Counts days.", run=count_days, schedule=Schedule("30 1 * * *"), arguments=USAGE.arguments),
    Job(name="fails", title="Fails.", run=fail),
    Job(name="breaks", title="Breaks.", run=break_down),
    Job(name="waits", title="Waits.", run=wait),
]

Run = Callable[..., Awaitable[Said]]


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=6) as pool:
        yield pool


@pytest.fixture
def run(configuration: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in the loop of the test, beside what else goes on there."""

    async def run(*arguments: str) -> Said:
        capsys.readouterr()
        options = parse(["-c", str(configuration), "jobs", *arguments], [FEATURE])
        async with asyncio.timeout(PATIENCE):
            code = await options.command(options)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
async def declared(pool: asyncpg.Pool) -> StoredJobs:
    """The jobs as a server leaves them that is gone."""
    await RunQueue(pool, 7, Waits()).declare(JOBS)
    return StoredJobs(pool)


@pytest.fixture
async def server(pool: asyncpg.Pool) -> AsyncIterator[StoredJobs]:
    """A server that runs them."""
    async with ServerLocks(pool) as locks, open_keeper(JOBS, pool, locks, JobsSettings()):
        desk = StoredJobs(pool)
        await until(desk.known)
        yield desk


def table(out: str) -> list[list[str]]:
    return [*csv.reader(io.StringIO(out, newline=""))]


async def test_jobs_are_listed_in_each_format(run: Run, pool: asyncpg.Pool) -> None:
    assert (await run()).out == "No jobs yet. A server declares them.\n"
    await RunQueue(pool, 7, Waits()).declare(JOBS)
    listed = await run()
    assert listed.code == 0 and "At 01:30 every day, UTC" in listed.out and "Only when asked" in listed.out
    told = json.loads((await run("--format", "json")).out)
    assert [one["name"] for one in told] == ["breaks", "fails", "usage", "waits"]
    assert table((await run("--format", "csv")).out)[0] == [*JOB_COLUMNS]


async def test_runs_are_asked_for_listed_shown_and_cancelled(run: Run, declared: StoredJobs) -> None:
    assert (await run("runs")).out == "No runs.\n"
    asked = await run("run", "usage", "--start", "2026-01-01", "--reset", "--set", "end=2026-01-31")
    assert asked.code == 0 and asked.out.endswith(" of usage waits for its turn.\n")
    (queued,) = await declared.runs(None, 10)
    assert dict(queued.arguments) == {"start": "2026-01-01", "end": "2026-01-31", "reset": "yes"}
    assert queued.asked_by == "command line"
    assert (await run("-q", "run", "usage")).out == ""
    lines = (await run("runs", "usage")).out.splitlines()
    assert len(lines) == 3 and "end=2026-01-31 reset=yes start=2026-01-01" in lines[2]
    assert [one["id"] for one in json.loads((await run("runs", "--limit", "1", "--format", "json")).out)] == [
        queued.id + 1
    ]
    assert table((await run("runs", "--format", "csv")).out)[0] == [*RUN_COLUMNS]
    shown = await run("show", str(queued.id))
    assert f"{queued.id} of usage" in shown.out and "asked for by command line" in shown.out
    assert json.loads((await run("show", str(queued.id), "--format", "json")).out)["state"] == "waiting"
    assert len(table((await run("show", str(queued.id), "--format", "csv")).out)) == 2
    assert (await run("cancel", str(queued.id))).out == f"Run {queued.id} of usage is cancelled.\n"


async def test_a_run_that_no_server_will_begin_is_told_of(run: Run, declared: StoredJobs, pool: asyncpg.Pool) -> None:
    assert (await run("run", "usage")).err == ""
    await pool.execute("UPDATE job_schedules SET seen_at = now() - interval '5 minutes'")
    assert "No server has waits now" in (await run("run", "waits")).err
    assert "No server has it now" in (await run()).out


async def test_a_job_is_paused_and_resumed(run: Run, declared: StoredJobs) -> None:
    assert (await run("pause", "usage")).out == "usage is paused: its due times are passed over.\n"
    assert "paused" in (await run()).out
    assert (await run("resume", "usage")).out == "usage is run by its schedule again.\n"
    assert "paused" not in (await run()).out


async def test_the_next_due_times_are_listed(run: Run, declared: StoredJobs) -> None:
    lines = (await run("next", "usage")).out.splitlines()
    assert len(lines) == 5 and all(line[11:23] == "01:30:00 UTC" for line in lines) and lines == sorted(lines)
    assert len(json.loads((await run("next", "usage", "-n", "2", "--format", "json")).out)) == 2
    assert [*map(len, table((await run("next", "usage", "-n", "1", "--format", "csv")).out))] == [2, 2]


async def test_a_run_of_a_server_is_followed_to_its_end(run: Run, server: StoredJobs) -> None:
    completed = await run("run", "usage", "--follow")
    assert completed.code == 0 and completed.out.splitlines()[-1].endswith("of usage: completed, 3 of 3: day 3")
    failed = await run("run", "fails", "--follow")
    assert failed.code == 3 and "failed, There is nothing to count." in failed.out
    broken = await run("run", "breaks", "--follow")
    assert broken.code == 3 and "It is tried again as run" in broken.out
    assert (await run("-q", "run", "usage", "--follow")).out == ""


async def test_a_run_that_is_followed_is_cancelled_by_another(run: Run, server: StoredJobs) -> None:
    following = asyncio.create_task(run("run", "waits", "--follow"))

    async def has_made_a_step() -> Sequence[JobRun]:
        return [one for one in await server.runs("waits", 1) if one.message]

    (going,) = await until(has_made_a_step)
    await server.cancel(going.id)
    assert (await following).code == 3
    assert (await server.run(going.id)).state == "cancelled"


async def test_a_job_is_run_in_this_process(run: Run, pool: asyncpg.Pool) -> None:
    completed = await run("run", "usage", "--here", "--start", "2026-01-01")
    assert completed.code == 0 and "completed, 3 of 3: day 3" in completed.out
    failed = await run("run", "fails", "--here")
    assert failed.code == 3 and "There is nothing to count." in failed.out
    newest, oldest = await StoredJobs(pool).runs(None, 10)
    assert (newest.job, newest.state, oldest.state) == ("fails", "failed", "completed")
    assert (dict(oldest.arguments), oldest.asked_by) == ({"start": "2026-01-01"}, "command line")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("run", "usage", "--start", "yesterday"), 2, "2026-01-31"),
        (("run", "usage", "--set", "begin=1"), 2, "start, end, reset"),
        (("run", "fails", "--reset"), 2, "reset"),
        (("run", "usage", "--set", "begin"), 2, "NAME=VALUE"),
        (("run", "usage", "--start", "2026-01-01", "--set", "start=2026-01-02"), 2, "more than once"),
        (("run", "usage", "--follow", "--here"), 2, "cannot be given together"),
        (("run", "usage", "--here", "--start", "x"), 2, "start"),
        (("run", "none"), 1, "There is no job 'none'"),
        (("run", "none", "--here"), 1, "not installed here"),
        (("runs", "--limit", "0"), 2, "--limit must be from 1"),
        (("runs", "none"), 1, "There is no job 'none'"),
        (("show", "x"), 2, "RUN must be the number of a run"),
        (("show", "99"), 1, "There is no run 99"),
        (("cancel", "0"), 2, "RUN must be the number of a run"),
        (("cancel", "99"), 1, "There is no run 99"),
        (("pause", "none"), 1, "There is no job 'none'"),
        (("resume", "no\x1bne"), 1, "There is no job"),
        (("next", "none"), 1, "There is no job 'none'"),
        (("next", "fails"), 2, "no schedule"),
        (("next", "usage", "-n", "0"), 2, "-n must be from 1"),
        (("next", "usage", "-n", "x"), 2, "invalid int"),
    ],
)
def test_wrong_commands_are_refused_in_a_line(
    configuration: Path,
    database: DatabaseSettings,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    code: int,
    complaint: str,
) -> None:
    async def prepare() -> None:
        async with db.open_pool(database, max_size=1) as pool:
            await RunQueue(pool, 7, Waits()).declare(JOBS)

    asyncio.run(prepare())
    try:
        ended = cli.main(["-c", str(configuration), "jobs", *arguments], [FEATURE])
    except SystemExit as end:  # argparse's own
        ended = int(end.code or 0)
    out, err = capsys.readouterr()
    assert (ended, out) == (code, "") and complaint in err and err.count("\n") == 1 and "\x1b" not in err
