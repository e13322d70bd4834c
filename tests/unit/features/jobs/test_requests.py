"""Runs of jobs that are asked for and cancelled, jobs that are paused: by forms and by scripts."""

from __future__ import annotations

from typing import Any

import pytest

from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.jobs.records import State
from promise_pub.features.jobs.web import MAX_BODY
from tests.jobs.fake_desk import a_job, a_run
from tests.unit.features.jobs.conftest import PAGE, Seen
from tests.web_house import JSON, check_described


async def test_a_form_starts_a_run_and_leads_to_its_page(seen: Seen) -> None:
    answer = await seen.ask("POST", "/jobs/usage/run", data={"start": "2026-01-01", "end": "", "reset": "yes"})
    assert (answer.status, answer.headers["Location"]) == (303, "/jobs/usage/runs/1")
    run = await seen.desk.run(1)
    assert (dict(run.arguments), run.asked_by) == ({"start": "2026-01-01", "reset": "yes"}, None)
    assert "waiting" in await seen.text(answer.headers["Location"])


async def test_scripts_start_a_run_by_json_and_get_it(seen: Seen) -> None:
    answer = await seen.post("/jobs/usage/run", json={"start": "2026-01-01", "reset": True})
    told = await answer.json()
    check_described(seen.client, "JobRun", told)
    assert (answer.status, answer.headers["Location"]) == (202, "/jobs/usage/runs/1")
    assert (told["state"], told["arguments"]) == ("waiting", {"start": "2026-01-01", "reset": "yes"})
    assert (await seen.post("/jobs/usage/run")).status == 202, "no body is no argument"


async def test_an_equal_run_that_waits_is_named(seen: Seen) -> None:
    await seen.post("/jobs/usage/run")
    again = await seen.post("/jobs/usage/run")
    assert (again.status, (await again.json())["code"]) == (409, "job_waiting")
    assert "1" in (await again.json())["detail"]
    assert (await seen.ask("POST", "/jobs/usage/run")).status == 409
    assert (await seen.post("/jobs/usage/run", json={"start": "2026-01-01"})).status == 202


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"json": {"begin": "2026-01-01"}}, "start, end, reset"),
        ({"json": {"start": "yesterday"}}, "2026-01-31"),
        ({"json": {"reset": "maybe"}}, "flag"),
        ({"json": {"start": 1}}, "start must be a text"),
        ({"json": ["start"]}, "must be a JSON object"),
        ({"data": b"{", "headers": JSON | {"Content-Type": "application/json"}}, "no JSON"),
        ({"data": b"start=1", "headers": JSON | {"Content-Type": "text/plain"}}, "must be a form"),
        ({"data": b"start=1&start=2", "headers": JSON | {"Content-Type": "application/x-www-form-urlencoded"}}, "once"),
        ({"json": {"start": "x" * 2000}}, "at most 1,000 characters"),
        ({"json": {"start": "x" * MAX_BODY}}, "over the limit"),
        ({"params": {"start": "2026-01-01"}}, "There is no parameter 'start'"),
    ],
)
async def test_wrong_arguments_are_refused_and_nothing_is_queued(
    seen: Seen, how: dict[str, Any], complaint: str
) -> None:
    answer = await seen.post("/jobs/usage/run", **how)
    told = await answer.json()
    assert (answer.status, told["code"]) == (400, "bad_parameter") and complaint in told["detail"]
    assert await seen.desk.runs(None, 10) == []


async def test_wrong_arguments_of_a_form_are_told_on_a_page(seen: Seen) -> None:
    answer = await seen.ask("POST", "/jobs/usage/run", data={"start": "<b>"})
    assert answer.status == 400 and "&lt;b&gt;" in await answer.text()


async def test_a_job_of_other_servers_is_run_without_arguments_only(seen: Seen) -> None:
    seen.desk.jobs |= {"sweep": a_job("sweep")}
    refused = await seen.post("/jobs/sweep/run", json={"start": "2026-01-01"})
    assert refused.status == 400 and "not installed here" in (await refused.json())["detail"]
    assert (await seen.post("/jobs/sweep/run")).status == 202


@pytest.mark.parametrize(
    "path",
    ["/jobs/none/run", "/jobs/no%00ne/run", "/jobs/none/pause", "/jobs/none/resume"],
)
async def test_an_unknown_job_is_not_found(seen: Seen, path: str) -> None:
    for body in ({}, {"a": "b"}):
        answer = await seen.post(path, json=body)
        assert (answer.status, (await answer.json())["code"]) == (404, "job_not_found")


async def test_a_run_is_cancelled_once(seen: Seen) -> None:
    seen.desk.put(a_run(1), a_run(2, state=State.RUNNING), a_run(3, state=State.COMPLETED))
    for number, told in ((1, ("cancelled", False)), (2, ("running", True))):
        answer = await seen.post(f"/jobs/usage/runs/{number}/cancel")
        run = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (202, f"/jobs/usage/runs/{number}")
        assert (run["state"], run["cancelling"]) == told
    for number in (1, 3):
        answer = await seen.post(f"/jobs/usage/runs/{number}/cancel")
        assert (answer.status, (await answer.json())["code"]) == (409, "job_ended")
    for number in ("9", "x", "1e5"):
        answer = await seen.post(f"/jobs/usage/runs/{number}/cancel")
        assert (answer.status, (await answer.json())["code"]) == (404, "job_run_not_found")
    seen.desk.put(a_run(4))
    shown = await seen.ask("POST", "/jobs/usage/runs/4/cancel")
    assert (shown.status, shown.headers["Location"]) == (303, "/jobs/usage/runs/4")


async def test_a_run_of_another_job_is_not_cancelled(seen: Seen) -> None:
    seen.desk.put(a_run(1, "sweep"))
    assert (await seen.post("/jobs/usage/runs/1/cancel")).status == 404
    assert (await seen.desk.run(1)).state is State.WAITING


async def test_a_job_is_paused_and_resumed(seen: Seen) -> None:
    for change, paused in (("pause", True), ("resume", False)):
        answer = await seen.post(f"/jobs/usage/{change}")
        told = await answer.json()
        check_described(seen.client, "Job", told)
        assert (answer.status, told["paused"], told["next_due"] is None) == (200, paused, paused)
        shown = await seen.ask("POST", f"/jobs/usage/{change}")
        assert (shown.status, shown.headers["Location"]) == (303, "/jobs/usage")


async def test_forms_of_other_sites_are_refused(seen: Seen) -> None:
    for path in ("/jobs/usage/run", "/jobs/usage/pause", "/jobs/usage/resume", "/jobs/usage/runs/1/cancel"):
        answer = await seen.ask("POST", path, headers=PAGE | {"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 403
    assert await seen.desk.runs(None, 10) == []


async def test_a_database_that_is_away_is_told(seen: Seen) -> None:
    seen.desk.trouble = DatabaseUnavailable()
    for path in ("/jobs/usage/run", "/jobs/usage/pause", "/jobs/usage/runs/1/cancel"):
        answer = await seen.post(path)
        assert answer.status == 503 and "Retry-After" in answer.headers
