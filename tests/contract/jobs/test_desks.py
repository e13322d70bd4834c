"""The promises of a desk of jobs, held by the database and by the double that tests of faces use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from promise_pub import db
from promise_pub.features.jobs.errors import JobEnded, JobNotFound, JobRunNotFound, JobWaiting
from promise_pub.features.jobs.ports import JobsDesk
from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.states import End, Waits
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.jobs import Job
from promise_pub.settings.model import DatabaseSettings
from tests.jobs.fake_desk import FakeDesk, a_job, do_nothing

ME = 7  # the name of a server


class Stage(Protocol):
    """A desk with two jobs, "sweep" and "usage", whose runs a server begins and completes."""

    desk: JobsDesk

    async def begin(self, id: int) -> None: ...

    async def complete(self, id: int) -> None: ...

    async def fail(self, id: int) -> None: ...


class FakeStage:
    def __init__(self) -> None:
        self.desk = FakeDesk(a_job("usage"), a_job("sweep"))

    async def begin(self, id: int) -> None:
        self.desk.begin(id)

    async def complete(self, id: int) -> None:
        self.desk.complete(id)

    async def fail(self, id: int) -> None:
        self.desk.fail(id)


class StoredStage:
    def __init__(self, desk: StoredJobs, queue: RunQueue) -> None:
        self.desk = desk
        self.queue = queue

    async def begin(self, id: int) -> None:
        run = await self.queue.claim([(await self.desk.run(id)).job])
        assert run and run.id == id

    async def complete(self, id: int) -> None:
        assert await self.queue.end(id, ME, 5, End.COMPLETED)

    async def fail(self, id: int) -> None:
        assert await self.queue.end(id, ME, 5, End.FAILED)


@pytest.fixture(params=["double", "database"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "double":
        yield FakeStage()
        return
    database: DatabaseSettings = request.getfixturevalue("database")
    async with db.open_pool(database, max_size=2) as pool:
        queue = RunQueue(pool, ME, Waits())
        await queue.declare([Job(name=name, title=name, run=do_nothing) for name in ("usage", "sweep")])
        yield StoredStage(StoredJobs(pool), queue)


async def test_jobs_are_known_by_name(stage: Stage) -> None:
    assert [one.name for one in await stage.desk.known()] == ["sweep", "usage"]
    assert await stage.desk.cookies("usage") == {} and await stage.desk.newest_runs() == []


async def test_a_run_that_is_asked_for_waits_with_its_arguments(stage: Stage) -> None:
    run = await stage.desk.ask("usage", {"start": "2026-01-01"}, "ann")
    assert (run.job, run.state, run.reason, run.asked_by) == ("usage", State.WAITING, Reason.ASKED, "ann")
    assert (dict(run.arguments), run.attempt, run.missed, run.cancelling) == ({"start": "2026-01-01"}, 1, 0, False)
    assert run.started_at is run.ended_at is run.due is run.after is run.error_message is None
    assert run.not_before <= await stage.desk.now()
    assert await stage.desk.run(run.id) == run


async def test_an_equal_run_waits_once_and_is_named(stage: Stage) -> None:
    first = await stage.desk.ask("usage", {"start": "2026-01-01"}, None)
    with pytest.raises(JobWaiting, match=rf"\b{first.id}\b"):
        await stage.desk.ask("usage", {"start": "2026-01-01"}, "ann")
    await stage.desk.ask("usage", {}, None)
    await stage.desk.ask("sweep", {"start": "2026-01-01"}, None)
    await stage.begin(first.id)
    await stage.desk.ask("usage", {"start": "2026-01-01"}, None)


async def test_an_equal_run_that_waits_for_its_next_try_goes_on_at_once(stage: Stage) -> None:
    run = await stage.desk.ask("usage", {"start": "2026-01-01"}, None)
    await stage.begin(run.id)
    await stage.fail(run.id)
    (retry,) = await stage.desk.runs("usage", 1)
    assert (retry.state, retry.reason, retry.after, retry.attempt) == (State.WAITING, Reason.RETRY, run.id, 2)
    assert retry.not_before > await stage.desk.now()
    hurried = await stage.desk.ask("usage", {"start": "2026-01-01"}, "ann")
    assert hurried.id == retry.id and hurried.not_before <= await stage.desk.now()
    with pytest.raises(JobWaiting, match=rf"\b{retry.id}\b"):
        await stage.desk.ask("usage", {"start": "2026-01-01"}, None)


async def test_there_is_no_other_job_or_run(stage: Stage) -> None:
    for name in ("none", "no\0ne", "\ud800"):
        with pytest.raises(JobNotFound):
            await stage.desk.ask(name, {}, None)
        with pytest.raises(JobNotFound):
            await stage.desk.pause(name, True)
    for id in (0, 99, 2**63, -1):
        with pytest.raises(JobRunNotFound):
            await stage.desk.run(id)
        with pytest.raises(JobRunNotFound):
            await stage.desk.cancel(id)


async def test_runs_are_listed_the_newest_first_before_a_number(stage: Stage) -> None:
    ids = [(await stage.desk.ask("usage", {"start": str(n)}, None)).id for n in range(4)]
    other = (await stage.desk.ask("sweep", {}, None)).id
    assert [run.id for run in await stage.desk.runs("usage", 10)] == ids[::-1]
    assert [run.id for run in await stage.desk.runs("usage", 2, before=ids[3])] == [ids[2], ids[1]]
    assert [run.id for run in await stage.desk.runs(None, 2)] == [other, ids[3]]
    assert await stage.desk.runs("usage", 10, before=ids[0]) == [] == await stage.desk.runs("none", 10)


async def test_the_newest_runs_are_those_that_tell_the_state_of_each_job(stage: Stage) -> None:
    ended = []
    for _ in range(2):
        run = await stage.desk.ask("usage", {}, None)
        await stage.begin(run.id)
        await stage.complete(run.id)
        ended.append(run.id)
    going = await stage.desk.ask("usage", {}, None)
    await stage.begin(going.id)
    waiting = await stage.desk.ask("usage", {}, None)
    other = await stage.desk.ask("sweep", {}, None)
    found = await stage.desk.newest_runs()
    assert [run.id for run in found] == [other.id, waiting.id, going.id, ended[1]]
    assert [run.state for run in found] == [State.WAITING, State.WAITING, State.RUNNING, State.COMPLETED]


async def test_a_run_that_waits_ends_at_once_when_it_is_cancelled(stage: Stage) -> None:
    run = await stage.desk.ask("usage", {}, None)
    cancelled = await stage.desk.cancel(run.id)
    assert cancelled.state is State.CANCELLED and cancelled.ended_at and not cancelled.cancelling
    with pytest.raises(JobEnded):
        await stage.desk.cancel(run.id)


async def test_a_run_that_goes_on_is_to_be_cancelled_however_often_that_is_said(stage: Stage) -> None:
    run = await stage.desk.ask("usage", {}, None)
    await stage.begin(run.id)
    for _ in range(2):
        cancelling = await stage.desk.cancel(run.id)
        assert (cancelling.state, cancelling.cancelling) == (State.RUNNING, True)
    await stage.complete(run.id)
    with pytest.raises(JobEnded):
        await stage.desk.cancel(run.id)


async def test_a_job_is_paused_until_it_is_resumed(stage: Stage) -> None:
    for paused in (True, True, False):
        assert (await stage.desk.pause("usage", paused)).paused is paused
        assert {one.name: one.paused for one in await stage.desk.known()} == {"sweep": False, "usage": paused}
