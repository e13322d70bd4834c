"""The pages about all runs: the form with the newest ones, the history."""

from __future__ import annotations

from aiohttp import web

from promise_pub.errors import BadParameter, DatabaseError
from promise_pub.records import SUMMARY, RunReport
from promise_pub.web.forms import MOST_TIMEOUT
from promise_pub.web.keys import LEDGER, RUNS
from promise_pub.web.negotiate import CSV, JSON, as_csv, as_json, page, wanted

NEWEST = 10  # runs on the first page
PER_PAGE, MOST_PER_PAGE = 50, 500
MOST_PAGES = 10**9

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """The form and the newest runs, or why they cannot be shown: the form needs no database."""
    try:
        newest, total = await request.app[LEDGER].newest(NEWEST)
        trouble = ""
    except DatabaseError as error:
        newest, total, trouble = [], 0, error.message
    context = {
        "runs": _live(request, newest),
        "total": total,
        "trouble": trouble,
        "most_timeout": MOST_TIMEOUT,
    }
    return page(request, "index.html", context)


@routes.get("/runs")
async def list_runs(request: web.Request) -> web.Response:
    """The history, newest first, a page at a time."""
    face = wanted(request, table=True)
    number, per_page = (
        _whole(request, "page", 1, MOST_PAGES),
        _whole(request, "per_page", PER_PAGE, MOST_PER_PAGE),
    )
    found, total = await request.app[LEDGER].newest(per_page, (number - 1) * per_page)
    found = _live(request, found)
    links = _links(number, per_page, total)
    if face == JSON:
        response = as_json([report.as_json() for report in found])
    elif face == CSV:
        response = as_csv(SUMMARY, [report.summary() for report in found], "runs.csv")
    else:
        response = page(
            request, "runs.html", {"runs": found, "total": total, "links": links, "number": number}
        )
    response.headers["X-Total-Count"] = str(total)
    if links:
        response.headers["Link"] = ", ".join(
            f'<{url}>; rel="{name}"' for name, url in links.items()
        )
    return response


def _live(request: web.Request, reports: list[RunReport]) -> list[RunReport]:
    """The ledger is up to half a second old: a run that lives here tells of itself."""
    runs = request.app[RUNS]
    living = {report.id: runs.find(report.id) for report in reports}
    return [runs.report(run) if (run := living[report.id]) else report for report in reports]


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise BadParameter(f"{name} must be a whole number from 1 to {most}, not {text[:50]!r}.")
    return int(text)


def _links(number: int, per_page: int, total: int) -> dict[str, str]:
    last = max(1, -(-total // per_page))
    targets = {"first": 1, "prev": number - 1, "next": number + 1, "last": last}
    known = {name: n for name, n in targets.items() if 1 <= n <= last and n != number}
    return {name: f"/runs?page={n}&per_page={per_page}" for name, n in known.items()}
