"""Jobs and their runs as pages, JSON and CSV; and the requests that start, cancel and pause them. All for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from promise_pub.errors import BadParameter, FileTooLarge
from promise_pub.features.jobs import words
from promise_pub.features.jobs.asking import (
    LIMIT,
    MAX_LIMIT,
    ask_run,
    find_run,
    find_status,
    find_successor,
    is_id,
    list_jobs,
    parse_id,
)
from promise_pub.features.jobs.given import MAX_TEXT, parse_body
from promise_pub.features.jobs.ports import JobsDesk
from promise_pub.features.jobs.records import JobRun
from promise_pub.features.jobs.report import JOB_COLUMNS, RUN_COLUMNS, JobStatus, encode_run, judge_job, list_run_cells
from promise_pub.http.intake.bodies import receive_body
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.keys import name_of_principal, require_operator
from promise_pub.http.negotiation import CSV, HTML, JSON, negotiate_format
from promise_pub.http.pagination import parse_positive, parse_query
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.jobs import Job
from promise_pub.json_text import dump_json

DESK = web.AppKey("jobs_desk", JobsDesk)
DECLARED: web.AppKey[Mapping[str, Job]] = web.AppKey("declared_jobs", Mapping[str, Job])
MAX_BODY = 16 * 1024  # bytes of a request for a run
BODY_TIMEOUT = 5.0  # seconds for it to arrive
MAX_SHOWN = 10  # runs that wait on a job's page
MAX_COOKIE = 500  # characters of a value that is shown

routes = web.RouteTableDef()


@routes.get("/jobs")
async def show_jobs(request: web.Request) -> web.Response:
    """Lists the jobs, with their schedules and their newest runs."""
    require_operator(request)
    wanted = negotiate_format(request, table=True)
    parse_query(request, ("format",))
    async with large_answer(request) as make:
        return await make(_RENDER[wanted], request, await list_jobs(request.app[DESK]))


def _jobs_as_json(_: web.Request, jobs: Sequence[JobStatus]) -> web.Response:
    return as_json({"jobs": (one.encode() for one in jobs)})


def _jobs_as_csv(_: web.Request, jobs: Sequence[JobStatus]) -> web.Response:
    return as_csv(JOB_COLUMNS, (one.list_cells() for one in jobs), "jobs.csv")


def _jobs_as_page(request: web.Request, jobs: Sequence[JobStatus]) -> web.Response:
    context = {"jobs": jobs, "going": any(one.is_going for one in jobs), "words": words}
    return page(request, "jobs/list.html", context)


_RENDER = {JSON: _jobs_as_json, CSV: _jobs_as_csv, HTML: _jobs_as_page}


@dataclass(frozen=True, slots=True)
class RunsQuery:
    """The runs of a job that a request asks for: the newest `limit`, or the newest of a number less than `before`."""

    job: str
    limit: int = LIMIT
    before: int | None = None

    def url(self, **more: object) -> str:
        """Returns the address of these runs, with `more`; None leaves one out."""
        given = {"limit": self.limit if self.limit != LIMIT else None, "before": self.before, **more}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        return f"/jobs/{self.job}?{query}" if query else f"/jobs/{self.job}"

    def links(self, found: Sequence[JobRun]) -> dict[str, str]:
        """Returns the addresses of the newest runs and of older ones, by their relation; one more was asked for than shown."""
        first = {"first": self.url(before=None)} if self.before else {}
        return first | ({"next": self.url(before=found[self.limit - 1].id)} if len(found) > self.limit else {})


def _parse_runs(request: web.Request) -> RunsQuery:
    """Raises BadParameter."""
    name, given = request.match_info["job"], parse_query(request, ("limit", "before", "format"))
    text = given.get("before", "")
    if text and not is_id(text):
        raise BadParameter(f"before must be the number of a run, not {text[:50]!r}.")
    return RunsQuery(name, parse_positive(given, "limit", LIMIT, MAX_LIMIT), int(text) if text else None)


@routes.get("/jobs/{job}")
async def show_job(request: web.Request) -> web.Response:
    """Shows a job, and its runs, the newest first."""
    require_operator(request)
    wanted = negotiate_format(request, table=True)
    query, desk = _parse_runs(request), request.app[DESK]
    async with large_answer(request) as make:
        status = await find_status(desk, query.job)
        found = await desk.runs(query.job, query.limit + 1, query.before)
        if wanted == CSV:
            response = await make(_runs_as_csv, found[: query.limit], status.at, f"{query.job}.csv")
        else:
            cookies = await desk.cookies(query.job)
            answer = _job_as_json if wanted == JSON else _job_as_page
            response = await make(answer, request, query, status, found, cookies)
    if links := query.links(found):
        response.headers["Link"] = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items())
    return response


def _runs_as_csv(runs: Sequence[JobRun], now: datetime, name: str) -> web.Response:
    return as_csv(RUN_COLUMNS, (list_run_cells(run, now) for run in runs), name)


def _job_as_json(
    request: web.Request, query: RunsQuery, status: JobStatus, found: Sequence[JobRun], cookies: Mapping[str, Any]
) -> web.Response:
    job = status.encode() | {"arguments": _list_arguments(request, query.job), "cookies": dict(cookies)}
    return as_json({"job": job, "runs": [encode_run(run, status.at) for run in found[: query.limit]]})


def _job_as_page(
    request: web.Request, query: RunsQuery, status: JobStatus, found: Sequence[JobRun], cookies: Mapping[str, Any]
) -> web.Response:
    context = {
        "job": status,
        "runs": found[: query.limit],
        "links": query.links(found),
        "faces": {name: query.url(format=name) for name in (CSV, JSON)},
        "address": query.url(),
        "most_waiting": MAX_SHOWN,
        "cookies": [(name, dump_json(value)[:MAX_COOKIE]) for name, value in cookies.items()],
        "arguments": _list_arguments(request, query.job),
        "max_text": MAX_TEXT,
        "going": status.is_going,
        "now": status.at,
        "words": words,
    }
    return page(request, "jobs/job.html", context)


def _list_arguments(request: web.Request, name: str) -> list[dict[str, Any]]:
    declared = request.app[DECLARED].get(name)
    return [{"name": one.name, "help": one.help, "flag": one.is_flag} for one in declared.arguments] if declared else []


@routes.get("/jobs/{job}/runs/{job_run}")
async def show_run(request: web.Request) -> web.Response:
    """Shows a run of a job."""
    require_operator(request)
    wanted = negotiate_format(request, table=True)
    parse_query(request, ("format",))
    run = await find_run(request.app[DESK], *_parse_path(request))
    return await _run_answer(request, wanted, run)


async def _run_answer(request: web.Request, wanted: str, run: JobRun) -> web.Response:
    now = await request.app[DESK].now()
    if wanted == JSON:
        return as_json(encode_run(run, now))
    if wanted == CSV:
        return _runs_as_csv([run], now, f"{run.job}-{run.id}.csv")
    context = {
        "run": run,
        "successor": await find_successor(request.app[DESK], run),
        "going": words.is_going(run, now),
        "now": now,
        "words": words,
    }
    return page(request, "jobs/run.html", context)


def _parse_path(request: web.Request) -> tuple[str, int]:
    return request.match_info["job"], parse_id(request.match_info["job_run"])


@routes.post("/jobs/{job}/run", expect_handler=defer_continue)
async def start_run(request: web.Request) -> web.Response:
    """Queues a run with the arguments of a form or of a JSON object: 202, or 409 where an equal one waits."""
    wanted = _format_of_request(request)
    given = parse_body(await _receive(request), request.content_type)
    asked_by = name_of_principal(request)
    run = await ask_run(request.app[DESK], request.app[DECLARED], request.match_info["job"], given, asked_by)
    return await _accepted(request, wanted, run)


async def _receive(request: web.Request) -> bytes:
    try:
        return await receive_body(request, MAX_BODY, BODY_TIMEOUT)
    except FileTooLarge:
        raise BadParameter(f"The arguments are over the limit of {MAX_BODY:,} bytes.") from None


@routes.post("/jobs/{job}/runs/{job_run}/cancel")
async def cancel_run(request: web.Request) -> web.Response:
    """Ends a run, at its next step if it goes on: 202, or 409 where it has ended."""
    wanted = _format_of_request(request)
    desk = request.app[DESK]
    run = await find_run(desk, *_parse_path(request))
    return await _accepted(request, wanted, await desk.cancel(run.id))


async def _accepted(request: web.Request, wanted: str, run: JobRun) -> web.Response:
    """Shows scripts the run, and sends people to its page, which they can load again."""
    url = f"/jobs/{run.job}/runs/{run.id}"
    if wanted == HTML:
        return _see(url)
    response = await _run_answer(request, wanted, run)
    response.set_status(202)
    response.headers["Location"] = url
    return response


@routes.post("/jobs/{job}/pause")
async def pause_job(request: web.Request) -> web.Response:
    """Lets due times of a job be passed over."""
    return await _pause(request, paused=True)


@routes.post("/jobs/{job}/resume")
async def resume_job(request: web.Request) -> web.Response:
    """Lets due times of a job be seen to again, from now on."""
    return await _pause(request, paused=False)


async def _pause(request: web.Request, *, paused: bool) -> web.Response:
    wanted, desk = _format_of_request(request), request.app[DESK]
    known = await desk.pause(request.match_info["job"], paused)
    if wanted == HTML:
        return _see(f"/jobs/{known.name}")
    return as_json(judge_job(known, await desk.newest_runs(), await desk.now()).encode())


def _format_of_request(request: web.Request) -> str:
    wanted = negotiate_format(request)
    parse_query(request, ("format",))
    return wanted


def _see(url: str) -> web.Response:
    return web.Response(status=303, headers={"Location": url})


def values_of(desk: JobsDesk, declared: Sequence[Job]) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers look up in the application."""
    return {DESK: desk, DECLARED: {one.name: one for one in declared}}
