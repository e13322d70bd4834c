"""The first page: the form, the newest runs, and the number of employees that `clear` would delete."""

from __future__ import annotations

import asyncio

from aiohttp import web

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.http.insets import Place, render_insets
from promise_pub.http.keys import may_operate
from promise_pub.http.responses import as_json, page
from promise_pub.parameters import DELIMITERS, ENCODINGS, MAX_TIMEOUT
from promise_pub.parameters.gate import MAX_TEXT, USUAL_GATES
from promise_pub.parameters.rate_profile import MAX_RATE
from promise_pub.records import RunReport
from promise_pub.web.keys import EMPLOYEES, LEDGER, RUNS
from promise_pub.web.runs.history import refresh_reports

NEWEST = 10  # runs on the first page
COUNT_FOR_PAGE = 0.25  # seconds that the page waits for the number of employees, which it can do without
COUNT_WHEN_ASKED = 8.0  # seconds; a table of many millions of rows takes a few

_DELIMITER_WORDS = {",": "comma ,", ";": "semicolon ;", "|": "vertical bar |"}

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """Shows the form with the newest runs, or with the reason why they are not available: the form needs no database."""
    (newest, total, trouble), employees, insets = await asyncio.gather(
        _newest(request),
        _employees(request, COUNT_FOR_PAGE),
        render_insets(request, Place.FIRST_PAGE),
    )
    context = {
        "runs": newest,
        "total": total,
        "trouble": trouble,
        "employees": employees,
        "insets": insets,
        "max_timeout": MAX_TIMEOUT,
        "max_rate": MAX_RATE,
        "most_upload": request.app[RUNS].uploads.limit,
        "delimiters": [(name, _DELIMITER_WORDS.get(name, name)) for name in DELIMITERS],
        "usual_gates": USUAL_GATES,
        "max_gate": MAX_TEXT,
        "encodings": [*dict.fromkeys(ENCODINGS.values())],
    }
    return page(request, "index.html", context)


async def _newest(request: web.Request) -> tuple[list[RunReport], int, str]:
    try:
        newest, total = await request.app[LEDGER].list_runs(NEWEST)
    except DatabaseError as error:
        return [], 0, error.message
    return refresh_reports(request, newest), total, ""


async def _employees(request: web.Request, within: float) -> int | None:
    """Returns None if it is not known in time, or not needed: viewers empty nothing."""
    if not may_operate(request):
        return None
    try:
        async with asyncio.timeout(within):
            return await request.app[EMPLOYEES].result()
    except (DatabaseError, TimeoutError):
        return None


@routes.get("/employees")
async def count_employees(request: web.Request) -> web.Response:
    """Returns the number of rows that `clear` would delete now, for the confirmation."""
    try:
        async with asyncio.timeout(COUNT_WHEN_ASKED):
            count = await request.app[EMPLOYEES].result()
    except TimeoutError:
        raise DatabaseUnavailable(f"The database did not count the employees in {COUNT_WHEN_ASKED:g} s.") from None
    response = as_json({"count": count})
    response.headers["Cache-Control"] = "no-store"
    return response
