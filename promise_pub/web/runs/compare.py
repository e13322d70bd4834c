"""Runs side by side: a page, or the same as JSON or CSV."""

from __future__ import annotations

from string import ascii_uppercase

from aiohttp import web

from promise_pub.errors import BadParameter, DatabaseError
from promise_pub.http.negotiation import CSV, HTML, JSON, negotiate_format
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.presentation.charts import compared
from promise_pub.presentation.comparison import Fact, compare
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport
from promise_pub.web.keys import LEDGER
from promise_pub.web.runs.run import find_run, parse_run_id

MIN_RUNS, MAX_RUNS = 2, 6
OFFERED = 20  # newest runs to choose from

routes = web.RouteTableDef()


@routes.get("/compare")
async def compare_runs(request: web.Request) -> web.Response:
    """Two to six runs, each named by a parameter `run`; without any, the page has some to choose from."""
    format = negotiate_format(request, table=True)
    ids = [parse_run_id(text) for text in request.query.getall("run", [])]
    if format == HTML and len(ids) < MIN_RUNS:
        return await _choice(request, ids)
    _check(ids)
    async with large_answer(request) as make:
        reports = [await find_run(request, run_id) for run_id in ids]
        response = await make(_answer, request, format, reports)
    if not all(report.state.final for report in reports):
        response.headers["Cache-Control"] = "no-store"
    return response


def _answer(request: web.Request, format: str, reports: list[RunReport]) -> web.Response:
    found = compare(reports)
    if format == JSON:
        return as_json({"runs": map(encode_run, reports), "facts": (fact.as_json() for fact in found)})
    if format == CSV:
        return _table([report.id for report in reports], found)
    return page(request, "compare.html", _context(reports, found))


def _check(ids: list[str]) -> None:
    if not MIN_RUNS <= len(ids) <= MAX_RUNS:
        raise BadParameter(
            f"run must be given {MIN_RUNS} to {MAX_RUNS} times, once for each run to compare, not {len(ids)} times."
        )
    for run_id in ids:
        if ids.count(run_id) > 1:
            raise BadParameter(f"run {run_id} is given more than once.")


async def _choice(request: web.Request, chosen: list[str]) -> web.Response:
    """Shows runs to choose from. One run alone is a mistake; none is a first visit."""
    for run_id in chosen:
        await find_run(request, run_id)
    try:
        newest, _ = await request.app[LEDGER].list_runs(OFFERED)
        trouble = ""
    except DatabaseError as error:
        newest, trouble = [], error.message
    context = {"runs": newest, "chosen": chosen, "trouble": trouble, "fewest": MIN_RUNS, "most": MAX_RUNS}
    return page(request, "choose_runs.html", context, 400 if chosen else 200)


def _context(reports: list[RunReport], found: list[Fact]) -> dict[str, object]:
    named = list(zip(ascii_uppercase, reports, strict=False))
    return {
        "named": named,
        "groups": {fact.group: [one for one in found if one.group == fact.group] for fact in found},
        "differing": sum(fact.differs for fact in found),
        "charts": compared(named),
    }


def _table(ids: list[str], found: list[Fact]) -> web.Response:
    rows = [[fact.group, fact.name, fact.unit, *fact.values, fact.differs] for fact in found]
    return as_csv(["group", "name", "unit", *ids, "differs"], rows, "compared-runs.csv")
