"""Usage as pages, JSON, CSV, text and pictures, for operators.

Responses may be long, so they are made in a thread: the event loop has to carry a run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from promise_pub.days import ONE_DAY, day_of
from promise_pub.errors import BadParameter, FileTooLarge
from promise_pub.features.usage import report
from promise_pub.features.usage.asked import (
    FORMAT,
    Given,
    collect,
    parse_action,
    parse_day,
    parse_format,
    parse_question,
    read_body,
)
from promise_pub.features.usage.bokeh_plot import make_bokeh_item
from promise_pub.features.usage.chart import MOST_DRAWN, draw_chart, draw_chart_file
from promise_pub.features.usage.ports import UsageReader
from promise_pub.features.usage.records import Action, Aggregate, Question, Usage
from promise_pub.features.usage.report import DayReport, Headline
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.text import draw_day, draw_usage
from promise_pub.http.intake.bodies import receive_body
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.keys import AUTHENTICATOR, ERROR_FORMAT, require_operator
from promise_pub.http.negotiation import CSV, HTML, JSON, PLAIN, SVG, accepted_format
from promise_pub.http.responses import as_csv, as_json, large_answer, page

READER = web.AppKey("usage", UsageReader)
SETTINGS = web.AppKey("usage_settings", UsageSettings)
MAX_BODY = 16 * 1024  # bytes of a question that is posted
BODY_TIMEOUT = 5.0  # seconds for it to arrive
MAX_SHOWN = 1_000  # people of a day on its page; its other faces have all
BOKEH = "bokeh"
PICTURE_POLICY = "default-src 'none'; frame-ancestors 'none'"  # nothing is loaded, nor ruled
TABLE_FORMATS = (HTML, JSON, CSV, PLAIN)
PLOT_FORMATS = (HTML, SVG, JSON, BOKEH)

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Told:
    """Usage with all that its faces say of it, at a moment."""

    usage: Usage
    given: Given
    settings: UsageSettings
    names: bool
    now: datetime
    headline: Headline | None = None

    @property
    def state(self) -> str:
        return report.tell_state(self.usage, self.settings, self.now)

    @property
    def zones(self) -> list[str]:
        return report.tell_zones(self.usage)

    @property
    def emptiness(self) -> list[str]:
        return report.tell_emptiness(self.usage, self.settings, names=self.names)

    @property
    def sentences(self) -> list[str]:
        return report.tell_all(self.usage, self.settings, self.now, names=self.names)

    def url(self, mode: str = "", **more: str) -> str:
        """Returns the address of the same question in a mode."""
        given = {name: text for name, text in self.given.items() if name not in FORMAT}
        query = urlencode({name: text for name, text in {**given, **more}.items() if text})
        return f"/usage/login{mode and f'/{mode}'}{query and f'?{query}'}"


Render = Callable[[web.Request, Told], web.Response]


@routes.get("/usage")
@routes.get("/usage/login")
@routes.post("/usage/login", expect_handler=defer_continue)
async def show_usage(request: web.Request) -> web.Response:
    """Shows different users by period, and those of the last days."""
    return await _answer(request, TABLE_FORMATS, {HTML: _as_page, **_TABLES})


@routes.get("/usage/login/raw")
@routes.post("/usage/login/raw", expect_handler=defer_continue)
async def list_usage(request: web.Request) -> web.Response:
    """Lists different users by period."""
    return await _answer(request, TABLE_FORMATS, {HTML: _as_table, **_TABLES})


@routes.get("/usage/login/plot")
@routes.post("/usage/login/plot", expect_handler=defer_continue)
async def plot_usage(request: web.Request) -> web.Response:
    """Draws different users by period."""
    plots = {HTML: _as_plot, SVG: _as_svg, JSON: _as_plot_json}
    return await _answer(request, PLOT_FORMATS, plots)


async def _answer(request: web.Request, formats: Sequence[str], renders: Mapping[str, Render]) -> web.Response:
    require_operator(request)
    given = collect(await _read_pairs(request))
    wanted = _format_of(request, given, formats)
    reader, settings, now = request.app[READER], request.app[SETTINGS], datetime.now(UTC)
    question = parse_question(given, now, settings.timezone)
    async with large_answer(request) as make:
        usage = await reader.count(question)
        if wanted == BOKEH:
            return web.Response(body=await make_bokeh_item(usage), content_type="application/json")
        told = Told(usage, given, settings, AUTHENTICATOR in request.app, now)
        if renders[wanted] is _as_page:
            told = replace(told, headline=await _read_headline(reader, usage))
        return await make(renders[wanted], request, told)


async def _read_pairs(request: web.Request) -> list[tuple[str, str]]:
    """Returns the parameters of the address, and of a form or a JSON object. Raises BadParameter."""
    pairs = [*request.query.items()]
    if request.method == "POST":
        try:
            body = await receive_body(request, MAX_BODY, BODY_TIMEOUT)
        except FileTooLarge:
            raise BadParameter(f"The parameters are over the limit of {MAX_BODY:,} bytes.") from None
        pairs += read_body(request.content_type, body)
    return pairs


def _format_of(request: web.Request, given: Given, formats: Sequence[str]) -> str:
    """Returns the format of the answer, and lets errors that come after it have it too, where they can."""
    accepted = accepted_format(request, formats)
    named = parse_format(given, formats)
    if named in (HTML, JSON, BOKEH):
        request[ERROR_FORMAT] = HTML if named == HTML else JSON
    return named or accepted


async def _read_headline(reader: UsageReader, usage: Usage) -> Headline | None:
    """Counts the last whole day, and the days that end with it. None before the first one."""
    if usage.through is None:
        return None
    today = day_of(usage.through, ZoneInfo(usage.timezone))
    whole = Question(
        action=usage.question.action, aggregate=Aggregate.YEAR, rolling=0, start=today - ONE_DAY, end=today
    )
    counts = [(await reader.count(replace(whole, start=today - timedelta(days=days)))).users for days in (1, 7, 30)]
    return Headline(whole.start, *counts)


def _as_page(request: web.Request, told: Told) -> web.Response:
    return _page(request, told, "page")


def _as_plot(request: web.Request, told: Told) -> web.Response:
    return _page(request, told, "plot")


def _as_table(request: web.Request, told: Told) -> web.Response:
    return _page(request, told, "raw")


def _page(request: web.Request, told: Told, mode: str) -> web.Response:
    usage = told.usage
    context = {
        "mode": mode,
        "told": told,
        "usage": usage,
        "question": usage.question,
        "title": report.title_of(usage.question),
        "range": report.count_range(usage),
        "unit": report.UNITS[usage.question.action],
        "drawn": draw_chart(usage) if usage.users and mode != "raw" else None,
        "cut": len(usage.periods) > MOST_DRAWN,
        "most_drawn": MOST_DRAWN,
        "actions": [*Action],
        "aggregates": [*Aggregate],
    }
    return page(request, "usage/usage.html", context)


def _as_json(_: web.Request, told: Told) -> web.Response:
    return as_json(report.as_json(told.usage))


def _as_csv(_: web.Request, told: Told) -> web.Response:
    question = told.usage.question
    return as_csv(report.COLUMNS, report.cells(told.usage), f"usage-{question.action}-by-{question.aggregate}.csv")


def _as_text(_: web.Request, told: Told) -> web.Response:
    return web.Response(text=draw_usage(told.usage, told.sentences))


def _as_svg(_: web.Request, told: Told) -> web.Response:
    return web.Response(
        text=draw_chart_file(told.usage),
        content_type="image/svg+xml",
        charset="utf-8",
        headers={"Content-Security-Policy": PICTURE_POLICY},
    )


def _as_plot_json(_: web.Request, told: Told) -> web.Response:
    return as_json(report.plot_as_json(told.usage))


_TABLES: Mapping[str, Render] = {JSON: _as_json, CSV: _as_csv, PLAIN: _as_text}


@routes.get("/usage/days/{day}")
async def show_day(request: web.Request) -> web.Response:
    """Shows who acted on a day."""
    require_operator(request)
    given = collect(await _read_pairs(request), ("action", *FORMAT))
    wanted = _format_of(request, given, TABLE_FORMATS)
    day, action = parse_day(request.match_info["day"], "day"), parse_action(given)
    reader, settings, now = request.app[READER], request.app[SETTINGS], datetime.now(UTC)
    question = Question(action=action, aggregate=Aggregate.DAY, rolling=0, start=day, end=day + ONE_DAY)
    async with large_answer(request) as make:
        usage = await reader.count(question)
        told = Told(usage, given, settings, AUTHENTICATOR in request.app, now)
        return await make(_DAYS[wanted], request, told, DayReport(usage, await reader.day(day, action)))


def _day_as_page(request: web.Request, told: Told, of_day: DayReport) -> web.Response:
    zone = ZoneInfo(told.usage.timezone)
    people = [
        (one, *(f"{at.astimezone(zone):%H:%M:%S}" for at in (one.first_at, one.last_at)))
        for one in of_day.people[:MAX_SHOWN]
    ]
    context = {"told": told, "usage": told.usage, "of_day": of_day, "people": people, "actions": [*Action]}
    return page(request, "usage/day.html", context)


def _day_as_json(_: web.Request, __: Told, of_day: DayReport) -> web.Response:
    return as_json(of_day.as_json())


def _day_as_csv(_: web.Request, __: Told, of_day: DayReport) -> web.Response:
    return as_csv(report.PEOPLE_COLUMNS, of_day.cells(), f"usage-{of_day.usage.question.action}-{of_day.day}.csv")


def _day_as_text(_: web.Request, told: Told, of_day: DayReport) -> web.Response:
    return web.Response(text=draw_day(of_day, told.sentences))


_DAYS = {HTML: _day_as_page, JSON: _day_as_json, CSV: _day_as_csv, PLAIN: _day_as_text}


def values_of(reader: UsageReader, settings: UsageSettings) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers look up in the application."""
    return {READER: reader, SETTINGS: settings}
