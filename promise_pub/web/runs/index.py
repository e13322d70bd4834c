"""The first page: the form with the newest runs, and what it has to know of the employees table."""

from __future__ import annotations

import asyncio

from aiohttp import web

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.http.keys import may_operate
from promise_pub.http.responses import as_json, page
from promise_pub.parameters import DELIMITERS, ENCODINGS, MAX_TIMEOUT
from promise_pub.parameters.rate_profile import MAX_RATE
from promise_pub.records import RunReport
from promise_pub.web.keys import LEDGER, RUNS
from promise_pub.web.runs.history import as_they_are_now

NEWEST = 10  # runs on the first page
COUNT_FOR_PAGE = 0.25  # seconds that the page waits for the count of employees: it can do without
COUNT_WHEN_ASKED = 10.0  # seconds; a table of many millions takes some

_DELIMITER_WORDS = {",": "comma ,", ";": "semicolon ;", "|": "vertical bar |"}

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """The form and the newest runs, or why they cannot be shown: the form needs no database."""
    (newest, total, trouble), employees = await asyncio.gather(_newest(request), _employees(request, COUNT_FOR_PAGE))
    context = {
        "runs": newest,
        "total": total,
        "trouble": trouble,
        "employees": employees,
        "max_timeout": MAX_TIMEOUT,
        "max_rate": MAX_RATE,
        "most_upload": request.app[RUNS].uploads.limit,
        "delimiters": [(name, _DELIMITER_WORDS.get(name, name)) for name in DELIMITERS],
        "encodings": [*dict.fromkeys(ENCODINGS.values())],
    }
    return page(request, "index.html", context)


async def _newest(request: web.Request) -> tuple[list[RunReport], int, str]:
    try:
        newest, total = await request.app[LEDGER].list_runs(NEWEST)
    except DatabaseError as error:
        return [], 0, error.message
    return as_they_are_now(request, newest), total, ""


async def _employees(request: web.Request, within: float) -> int | None:
    """None where it is not known in time, or of no use: who may only look empties nothing."""
    if not may_operate(request):
        return None
    try:
        async with asyncio.timeout(within):
            return await request.app[LEDGER].count_employees()
    except (DatabaseError, TimeoutError):
        return None


@routes.get("/employees")
async def count_employees(request: web.Request) -> web.Response:
    """How many rows `clear` would delete now, so that nobody confirms a number they do not see."""
    try:
        async with asyncio.timeout(COUNT_WHEN_ASKED):
            count = await request.app[LEDGER].count_employees()
    except TimeoutError:
        raise DatabaseUnavailable(f"The database did not count the employees in {COUNT_WHEN_ASKED:g} s.") from None
    response = as_json({"count": count})
    response.headers["Cache-Control"] = "no-store"
    return response
