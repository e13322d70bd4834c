"""The aiohttp application: routes, templates, headers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, web

from promise_pub import __version__
from promise_pub.accounts.guard import Guard
from promise_pub.delivery.input.dry_run import DryRuns
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.features.visits import web as visits_pages
from promise_pub.features.visits.middleware import VISITING, Visiting, note_visits
from promise_pub.features.visits.store import StoredVisits
from promise_pub.http import health, login
from promise_pub.http.client_address import TRUSTED_PROXIES
from promise_pub.http.connections import CONNECTIONS, Connections, keep_busy
from promise_pub.http.etags import answer_once, have_it_asked_again
from promise_pub.http.expect import close_unasked
from promise_pub.http.keys import BROKER, DRY_RUNS, LEDGER, PROBES, RUNS, Probe
from promise_pub.http.limits import LIMITS, USUAL, Limits, count_parameters
from promise_pub.http.negotiation import tell_what_varies
from promise_pub.http.problems import advice_on_run, answer_errors
from promise_pub.http.request_log import add_id, name_requests
from promise_pub.http.security import (
    DOORS,
    LOOPBACK,
    Doors,
    add_headers,
    headers_of,
    refuse_strangers,
)
from promise_pub.presentation import charts, gauges, wording
from promise_pub.settings.model import RabbitSettings, asset
from promise_pub.web.docs import page
from promise_pub.web.ops import metrics
from promise_pub.web.runs import compare, history, index, preview, stream
from promise_pub.web.runs import run as run_pages

A_BROKER = RabbitSettings(host="localhost")


def make_app(
    runs: Runs,
    ledger: Ledger,
    probes: Mapping[str, Probe],
    broker: RabbitSettings = A_BROKER,
    *,
    doors: Doors = LOOPBACK,
    guard: Guard | None = None,
    limits: Limits = USUAL,
    visits: StoredVisits | None = None,
    visiting: Visiting | None = None,
) -> web.Application:
    """The application, ready to be served. What it is given is opened and closed by its caller.

    Without a guard nobody logs in, without `visiting` no visit is noted, without `visits` none are shown.
    """
    app = web.Application(
        middlewares=[keep_busy, name_requests, answer_errors, refuse_strangers, count_parameters],
        client_max_fields=limits.fields,
    )
    app[DOORS], app[LIMITS] = doors, limits
    if visiting:
        app[VISITING] = visiting
        app.middlewares.insert(app.middlewares.index(answer_errors), note_visits)
    app[TRUSTED_PROXIES] = doors.trusted_proxies
    app[CONNECTIONS] = Connections(limits, headers_of(doors))
    app.cleanup_ctx.append(app[CONNECTIONS].sweeping)
    metrics.set_up(app, runs, probes, visiting.recorder if visiting else None)
    if guard:
        login.set_up(app, guard)
    app.middlewares.append(answer_once)
    app[RUNS], app[LEDGER], app[PROBES], app[BROKER] = runs, ledger, probes, broker
    app[DRY_RUNS] = DryRuns()
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(asset("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=FILTERS,
    )
    aiohttp_jinja2.get_env(app).globals["version"] = __version__
    app.on_response_prepare.append(close_unasked)
    # It quotes what strangers send, to who can do nothing about it; such a file has no name, or such a field.
    warnings.simplefilter("ignore", BadContentDispositionParam)
    warnings.simplefilter("ignore", BadContentDispositionHeader)
    for room in (index, history, run_pages, stream, compare, preview, health, metrics):
        app.add_routes(room.routes)
    if visits:
        visits_pages.set_up(app, visits)
    page.set_up(app)
    app.router.add_static("/static/", asset("static"))
    app.on_response_prepare.extend((tell_what_varies, have_it_asked_again, add_headers, add_id))
    return app


FILTERS: Mapping[str, Callable[..., Any]] = {
    "moment": wording.moment,
    "duration": wording.duration,
    "thousands": wording.thousands,
    "size": wording.size,
    "state": wording.state,
    "roughly": wording.roughly,
    "rounded": wording.rounded,
    "pace": wording.pace,
    "seconds_left": wording.seconds_left,
    "headline": wording.headline,
    "sentence": wording.sentence,
    "tone": wording.tone,
    "advice_on_run": advice_on_run,
    "tab_title": wording.tab_title,
    "gauges": gauges.gauges,
    "charts": charts.charts,
    "sparkline": charts.sparkline,
}
