"""A server that runs jobs: asked for by forms and by scripts, watched, measured; and the rights that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from promise_pub import app, db
from promise_pub.delivery.store import ledger
from promise_pub.errors import RightsMissing
from promise_pub.features.jobs import store
from promise_pub.features.jobs.feature import feature_of
from promise_pub.features.jobs.run_queue import RunQueue
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.states import Waits
from promise_pub.http.features import Feature
from promise_pub.jobs import Job, Work
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests.jobs.fake_desk import USAGE
from tests.roles import role_with
from tests.web_parts import ServerUnderTest, client, settings, until

JSON = {"Accept": "application/json"}


class Course:
    """A job that makes a step each time that it is let."""

    def __init__(self) -> None:
        self.may_go = asyncio.Semaphore(0)

    async def run(self, work: Work) -> None:
        for day in range(1, 4):
            await self.may_go.acquire()
            async with work.step() as step:
                await step.progress(day, 3, f"day {day}")
                await step.keep("next", day + 1)

    def feature(self) -> Feature:
        job = Job(name="usage", title="Counts days.", run=self.run, arguments=USAGE.arguments)
        return replace(feature_of(lambda *_: [job]), jobs=lambda *_: [job])


@asynccontextmanager
async def serving(settings: Settings, features: Sequence[Feature]) -> AsyncIterator[ServerUnderTest]:
    async with app.running(settings, features) as url, client() as http:
        yield ServerUnderTest(url, http, settings.server.uploads)


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


@pytest.fixture
def options(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int) -> Settings:
    return settings(rabbit, database, unused_tcp_port, tmp_path)


async def look(server: ServerUnderTest, path: str) -> Any:
    answer = await server.get(path, headers=JSON)
    assert answer.status == 200, answer.text
    return answer.json


async def test_a_run_is_asked_for_watched_and_measured(options: Settings) -> None:
    course = Course()
    async with serving(options, [course.feature()]) as server:
        await until(lambda: server_has(server, "usage"))
        asked = await server.ask("POST", "/jobs/usage/run", json={"start": "2026-01-01"}, headers=JSON)
        assert asked.status == 202
        url = asked.headers["Location"]
        for done in (1, 2):
            course.may_go.release()
            told = await until(lambda done=done: has(server, url, "done", done))
            assert (told["state"], told["total"], told["message"]) == ("running", 3, f"day {done}")
        page = (await server.get(url, headers={"Accept": "text/html"})).text
        assert '<progress max="3" value="2"' in page
        assert (await server.get("/jobs", headers={"Accept": "text/html"})).status == 200
        assert 'promise_pub_job_running{job="usage"} 1.0' in (await server.get("/metrics")).text
        course.may_go.release()
        told = await until(lambda: has(server, url, "state", "completed"))
        assert (told["done"], told["arguments"], told["error_code"]) == (3, {"start": "2026-01-01"}, None)
        job = (await look(server, "/jobs/usage"))["job"]
        assert (job["cookies"], job["last"]["id"], job["running"]) == ({"next": 4}, told["id"], None)
        measured = (await server.get("/metrics")).text
        assert 'promise_pub_job_runs_ended_total{job="usage",state="completed"} 1.0' in measured
        assert 'promise_pub_job_last_completed_timestamp_seconds{job="usage"}' in measured


async def server_has(server: ServerUnderTest, name: str) -> bool:
    return name in [one["name"] for one in (await look(server, "/jobs"))["jobs"]]


async def has(server: ServerUnderTest, url: str, name: str, value: object) -> Any:
    told = await look(server, url)
    return told if told[name] == value else None


async def test_a_run_is_cancelled_at_its_next_step(options: Settings) -> None:
    course = Course()
    async with serving(options, [course.feature()]) as server:
        await until(lambda: server_has(server, "usage"))
        url = (await server.ask("POST", "/jobs/usage/run", headers=JSON)).headers["Location"]
        course.may_go.release()
        await until(lambda: has(server, url, "done", 1))
        cancelled = await server.ask("POST", f"{url}/cancel", headers=JSON)
        assert (cancelled.status, cancelled.json["state"], cancelled.json["cancelling"]) == (202, "running", True)
        course.may_go.release()
        told = await until(lambda: has(server, url, "state", "cancelled"))
        assert told["done"] == 1
        assert (await server.ask("POST", f"{url}/cancel", headers=JSON)).status == 409


async def test_a_server_that_runs_none_shows_jobs_of_others_and_takes_requests_for_them(
    pool: asyncpg.Pool, database: DatabaseSettings, options: Settings
) -> None:
    feature = Course().feature()
    needs = (*ledger.NEEDS, *store.NEEDS_TO_SHOW)
    async with role_with(pool, database, needs) as ours:
        with pytest.raises(RightsMissing, match="job_schedules"):
            async with serving(replace(options, database=ours), [feature]):
                pass
        await RunQueue(pool, 7, Waits()).declare([USAGE])
        idle = replace(options, database=ours, features={"jobs": JobsSettings(enabled=False)})
        async with serving(idle, [feature]) as server:
            assert (await server.ask("POST", "/jobs/usage/pause", headers=JSON)).status == 200
            first, second = [
                await server.ask("POST", "/jobs/usage/run", json=given, headers=JSON)
                for given in ({}, {"start": "2026-01-01"})
            ]
            assert (first.status, second.status) == (202, 202)
            assert (await server.ask("POST", f"{first.headers['Location']}/cancel", headers=JSON)).status == 202
            told = (await look(server, "/jobs/usage"))["job"]
            assert (told["paused"], len(told["waiting"]), told["running"]) == (True, 1, None)


async def test_with_the_rights_that_are_asked_for_jobs_are_run(
    pool: asyncpg.Pool, database: DatabaseSettings, options: Settings
) -> None:
    course = Course()
    async with role_with(pool, database, (*ledger.NEEDS, *store.NEEDS)) as ours:
        async with serving(replace(options, database=ours), [course.feature()]) as server:
            await until(lambda: server_has(server, "usage"))
            url = (await server.ask("POST", "/jobs/usage/run", headers=JSON)).headers["Location"]
            for _ in range(3):
                course.may_go.release()
            await until(lambda: has(server, url, "state", "completed"))
