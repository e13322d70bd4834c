"""One run: submitted, shown, cancelled, resumed, repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from promise_pub.concurrency import background, run_until
from promise_pub.delivery.queue.rerun import rerun, send_rows_again
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.rows.reading import RowFate
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError, RowsNotReady, RunNotFound, ServerStopping, find_class
from promise_pub.http.insets import Place, render_insets
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.keys import AUTHENTICATOR, name_of_principal
from promise_pub.http.negotiation import JSON, negotiate_format
from promise_pub.http.problems import ask_again_later, problem, status_of_run
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.http.security import origin_of
from promise_pub.presentation.curl import format_curl
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import MAX_REJECTS, Rejected, RunReport, State
from promise_pub.text import parse_uuid
from promise_pub.web.keys import LEDGER, ROWS, RUNS
from promise_pub.web.runs import dry_run
from promise_pub.web.runs.forms import asks_dry_run, receive_run
from promise_pub.web.runs.report import describe_print, render_report, report_as_json
from promise_pub.web.runs.row_query import fate_urls, parse_sent_again

END_RECORDED = 7.0  # seconds to wait for the rows of a run that just ended: five million take three
REJECTS_SHOWN = 50  # rejected rows on a run's page
IN_NEED_SHOWN = 10  # rows on a run's page that need somebody

T = TypeVar("T")
routes = web.RouteTableDef()


@routes.post("/simulate/", expect_handler=defer_continue)
async def simulate(request: web.Request) -> web.Response:
    """Receives a file, queues its run, and responds at its end, or at once with `Prefer: respond-async`.

    A dry run has no turn to wait for: if the query string asks for one, a full queue does not refuse it.
    """
    negotiate_format(request)
    runs = request.app[RUNS]
    run_id = runs.admit(waits=not asks_dry_run(request))
    async with runs.uploads.receive(run_id) as upload:
        submitted = await _unless_stopping(runs, receive_run(request, upload))
        if submitted.dry_run:
            return await _unless_stopping(runs, dry_run.answer(request, run_id, submitted))
        run = await runs.submit(run_id, submitted.file, submitted.parameters, name_of_principal(request))
    if _prefers_async(request):
        return await _accepted(request, run)
    await run.done.wait()
    return await _run_answer(request, run.report())


async def _unless_stopping(runs: Runs, work: Coroutine[Any, Any, T]) -> T:
    """Raises ServerStopping as soon as the server stops, since an upload may take hours."""
    async with background(runs.stopping.wait()) as stopping:
        task = await run_until(stopping, work)
    if task.cancelled() and stopping.done():
        raise ServerStopping
    return task.result()


def _prefers_async(request: web.Request) -> bool:
    preferences = ",".join(request.headers.getall("Prefer", [])).lower().split(",")
    return "respond-async" in (preference.strip() for preference in preferences)


async def _accepted(request: web.Request, run: ActiveRun) -> web.Response:
    response = await _run_answer(request, request.app[RUNS].report(run), asked=True)
    response.set_status(202)
    response.headers["Location"] = f"/runs/{run.id}"
    if _prefers_async(request):
        response.headers["Preference-Applied"] = "respond-async"
    return response


@routes.post("/runs/{id}/cancel")
async def cancel_run(request: web.Request) -> web.Response:
    """Cancels a run: 202 while it ends, 409 once it has ended."""
    negotiate_format(request)
    return await _accepted(request, await request.app[RUNS].cancel(_run_id(request)))


@routes.post("/runs/{id}/resume")
async def resume_run(request: web.Request) -> web.Response:
    """Queues a run that did not complete, to continue where it stopped; 409 if it cannot be resumed."""
    negotiate_format(request)
    return await _accepted(request, await request.app[RUNS].resume(_run_id(request)))


@routes.post("/runs/{id}/again")
async def repeat_run(request: web.Request) -> web.Response:
    """Queues a new run of the same file with the same parameters, or with `fate` of some of its rows.

    409 if the file is missing or has changed, or no row has one of those fates.
    """
    negotiate_format(request)
    fates = parse_sent_again(request.query)
    runs, sender = request.app[RUNS], name_of_principal(request)
    if fates:
        report = await find_recorded_run(request)
        return await _accepted(request, await send_rows_again(runs, request.app[ROWS], report, fates, sender))
    return await _accepted(request, await rerun(runs, await find_run(request), sender))


@routes.get("/runs/{id}")
async def show_run(request: web.Request) -> web.Response:
    """Shows a run: its present state while it is active, then what was recorded."""
    return await _run_answer(request, await find_run(request), asked=True)


async def find_run(request: web.Request, run_id: str | None = None) -> RunReport:
    """Returns the run with this id, or the one in the request's path. Raises RunNotFound."""
    return await look_at_run(request.app, run_id or _run_id(request))


async def look_at_run(app: web.Application, run_id: str) -> RunReport:
    """Returns the run as it is now. Raises RunNotFound."""
    run = app[RUNS].find(run_id)
    return app[RUNS].report(run) if run else await app[LEDGER].get_run(run_id)


async def find_recorded_run(request: web.Request, report: RunReport | None = None) -> RunReport:
    """Returns the run in the request's path; one that has just ended once its end is recorded.

    `report` is the run as it was found before. Raises RunNotFound; RowsNotReady where recording takes long, as it does
    while the database hangs.
    """
    report = report or await find_run(request)
    run = request.app[RUNS].find(report.id)
    if run is None or not report.state.final:
        return report
    try:
        async with asyncio.timeout(END_RECORDED):
            await run.done.wait()
    except TimeoutError:
        raise RowsNotReady("The end of the run is not recorded yet: its rows are listed after that.") from None
    return await find_run(request)


def _run_id(request: web.Request) -> str:
    return parse_run_id(request.match_info["id"])


def parse_run_id(text: str) -> str:
    """Returns the id in its usual form. Raises RunNotFound if the text is not one."""
    return str(parse_uuid(text, RunNotFound(f"There is no run {text[:50]}.")))


async def _run_answer(request: web.Request, report: RunReport, *, asked: bool = False) -> web.Response:
    """Renders a run in the format that the client wants. Its failure is the status only for the client that started it."""
    status = 200 if asked else status_of_run(report)
    if negotiate_format(request) == JSON:
        if status == 200 or report.error is None:
            return as_json(encode_run(report))
        details = problem(find_class(report.error.code), report.error.message, run=encode_run(report))
        details["code"] = report.error.code  # an older version's may have no class any more
        response = as_json(details, status, "application/problem+json")
    else:
        rejected, needed, insets = await asyncio.gather(
            _rejected(request, report),
            _rows_in_need(request, report),
            render_insets(request, Place.RUN, report.finished_at),
        )
        context = {
            "run": report,
            "rejected": rejected,
            "listing": _is_listed_now(request, report),
            "needed": needed,
            "insets": insets,
            "fate_urls": fate_urls(report),
            "max_rejects": MAX_REJECTS,
            **describe_print(request, report),
            "command": format_curl(report, origin_of(request), token=AUTHENTICATOR in request.app),
        }
        response = page(request, "run.html", context, status)
    if not asked and report.error:
        ask_again_later(response, find_class(report.error.code).passes)
    if not report.state.final:
        response.headers["Cache-Control"] = "no-store"
    return response


async def _rejected(request: web.Request, report: RunReport) -> list[Rejected]:
    """Returns the first rejected rows, or none while the database is unavailable."""
    if not report.counts.rejected:
        return []
    try:
        return await request.app[LEDGER].list_rejects(report.id, REJECTS_SHOWN)
    except DatabaseError:
        return []


@routes.get("/runs/{id}/report.html")
async def download_page(request: web.Request) -> web.Response:
    """Shows the run on one page, in one file that needs no server."""
    report = await find_run(request)
    return render_report(request, report, await _rows_in_need(request, report))


@routes.get("/runs/{id}/report.json")
async def download_json(request: web.Request) -> web.Response:
    """Sends the run with the hashes by which `promise-pub verify` finds the first difference of another file."""
    return await report_as_json(request, await find_run(request))


def _is_listed_now(request: web.Request, report: RunReport) -> bool:
    """Tells whether the fates of a run's rows are being worked out, which follows its verdict."""
    ending = report.state is State.COMPLETED and report.fates is None
    return ending and request.app[RUNS].find(report.id) is not None


async def _rows_in_need(request: web.Request, report: RunReport) -> list[RowFate]:
    """Returns the first rows that need somebody's attention, or none while the database is unavailable, or where the run
    was resumed since it was read."""
    try:
        return await request.app[ROWS].find_first_in_need(report, IN_NEED_SHOWN)
    except (DatabaseError, RowsNotReady):
        return []


@routes.get("/runs/{id}/rejects")
async def list_rejects(request: web.Request) -> web.Response:
    """Lists the stored rejected rows of a run as CSV or JSON."""
    format = negotiate_format(request, table=True)
    report = await find_run(request)
    async with large_answer(request) as make:
        rows = await request.app[LEDGER].list_rejects(report.id, MAX_REJECTS)
        if format == JSON:
            response = await make(as_json, (row._asdict() for row in rows))
        else:
            response = await make(as_csv, Rejected._fields, rows, f"rejects-{report.id}.csv")
    response.headers["X-Total-Count"] = str(report.counts.rejected)
    return response
