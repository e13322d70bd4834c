"""Statistics as pages, JSON, CSV and SVG, for operators and viewers alike.

Responses may be long, so they are made in a thread: the event loop has to carry a run meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aiohttp import web

from promise_pub.errors import BadParameter
from promise_pub.features.stats.asked import PARAMETERS, Asked, parse_asked, parse_version
from promise_pub.features.stats.chart import draw_chart, draw_chart_file
from promise_pub.features.stats.chart.captions import rows_of_table
from promise_pub.features.stats.chart.series import Chart
from promise_pub.features.stats.charting import chart_style, has_chart, read_chart, require_chart
from promise_pub.features.stats.intervals import width_text
from promise_pub.features.stats.overview import list_statistics, spark_paths
from promise_pub.features.stats.pages import head_of, show_rows
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.questions import StatisticsReader
from promise_pub.features.stats.report import (
    LIST_COLUMNS,
    Overview,
    Table,
    describe_layout,
    read_table,
    state_sentences,
)
from promise_pub.http.negotiation import CSV, JSON, SVG, negotiate_format
from promise_pub.http.pagination import add_page_headers, check_known, parse_query
from promise_pub.http.responses import as_csv, as_json, large_answer, page
from promise_pub.json_text import dump_json

READER = web.AppKey("statistics", StatisticsReader)
JOURNAL = web.AppKey("statistics_journal", Journal)
MAX_LISTED = 200  # windows of a chart that stand in its table, too
SPANS = (
    ("", "all time"),
    ("24h", "the last 24 hours"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
    ("365d", "the last 365 days"),
)

routes = web.RouteTableDef()


@routes.get("/stats")
async def list_all(request: web.Request) -> web.Response:
    """Lists the statistics."""
    wanted = negotiate_format(request, table=True)
    parse_query(request, ("format",))
    async with large_answer(request) as make:
        overview = await list_statistics(request.app[READER], request.app[JOURNAL])
        if wanted == JSON:
            return await make(as_json, {"statistics": overview.as_json(), "newest": overview.newest})
        if wanted == CSV:
            return await make(as_csv, LIST_COLUMNS, overview.cells(), "statistics.csv")
        sparks = await spark_paths(request.app[READER], overview, datetime.now(UTC))
        return await make(_list_as_page, request, overview, sparks)


def _list_as_page(request: web.Request, overview: Overview, sparks: Mapping[int, str]) -> web.Response:
    listed = [(one.registered, told) for one, told in zip(overview.known, overview.as_json(), strict=True)]
    return page(request, "stats/list.html", {"listed": listed, "sparks": sparks, "newest": overview.newest})


@routes.get("/stats/{name}")
async def list_rows(request: web.Request) -> web.Response:
    """Shows rows of a statistic, and a chart of them."""
    wanted = negotiate_format(request, table=True, more=(SVG,))
    given = _given(request)
    reader, now = request.app[READER], datetime.now(UTC)
    async with large_answer(request) as make:
        details = await reader.find(request.match_info["name"], parse_version(given))
        asked = parse_asked(details, given, now)
        if wanted == SVG:
            require_chart(asked)
            return await make(_as_svg, await read_chart(reader, request.app[JOURNAL], asked, now))
        newest = (await request.app[JOURNAL].bounds()).newest
        table = await read_table(reader, details, asked, newest, now)
        if wanted == JSON:
            response = await make(_as_json, table)
        elif wanted == CSV:
            response = await make(as_csv, table.columns, table.cells(), f"{asked.layout.name}.csv")
        else:
            response = await make(_as_page, request, table, *await _chart_or_why(request, asked, now))
    add_page_headers(response, table.total, asked.links(table.total))
    return response


def _given(request: web.Request) -> dict[str, list[str]]:
    """Returns the values of each parameter. Raises BadParameter for one that is repeated, but for `key`, or not known."""
    check_known(request.query, PARAMETERS)
    given = {name: request.query.getall(name) for name in request.query}
    for name, values in given.items():
        if len(values) > 1 and name != "key":
            raise BadParameter(f"{name} is given more than once.")
    return given


def _as_json(table: Table) -> web.Response:
    return as_json(table.as_json())


async def _chart_or_why(request: web.Request, asked: Asked, now: datetime) -> tuple[Chart | None, str]:
    """Returns the chart, or None and why there is none."""
    if not has_chart(asked):
        return None, ""
    try:
        return await read_chart(request.app[READER], request.app[JOURNAL], asked, now), ""
    except BadParameter as error:
        return None, error.message


def _as_page(request: web.Request, table: Table, chart: Chart | None, why: str) -> web.Response:
    asked = table.asked
    context = {
        "table": table,
        "asked": asked,
        "layout": asked.layout,
        "statistic": table.details.known.registered,
        "links": asked.links(table.total),
        "head": head_of(table),
        "rows": [*show_rows(table)],
        "intervals": [*map(width_text, asked.layout.intervals)],
        "told": state_sentences(table.details, table.newest),
        "chart": chart,
        "drawn": draw_chart(chart) if chart and not chart.empty else None,
        "chart_rows": [*rows_of_table(chart)][-MAX_LISTED:] if chart and not chart.empty else [],
        "why": why,
        "spans": SPANS,
    }
    return page(request, "stats/rows.html", context)


def _as_svg(chart: Chart) -> web.Response:
    return web.Response(
        text=draw_chart_file(chart, chart_style()),
        content_type="image/svg+xml",
        charset="utf-8",
        headers={"Content-Security-Policy": _policy()},
    )


@cache
def _policy() -> str:
    """Returns a policy that allows a chart's file its rules, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(chart_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


@routes.get("/stats/{name}/layout")
async def show_layout(request: web.Request) -> web.Response:
    """Shows what rows of a statistic look like."""
    wanted = negotiate_format(request)
    version = parse_query(request, ("version", "format")).get("version", "")
    details = await request.app[READER].find(request.match_info["name"], parse_version({"version": [version]}))
    layout = describe_layout(details.known.registered.layout)
    if wanted == JSON:
        return as_json(layout)
    return page(request, "stats/layout.html", {"layout": layout, "given": dump_json(layout["layout"], indent=2)})


def values_of(reader: StatisticsReader, journal: Journal) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers look up in the application."""
    return {READER: reader, JOURNAL: journal}
