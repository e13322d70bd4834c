"""The aiohttp application: middleware, routes, templates, signals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, web

from promise_pub import __version__
from promise_pub.accounts.authentication import Authenticator
from promise_pub.concurrency import SharedWork
from promise_pub.delivery.input.dry_run import DryRuns
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.rows.reading import RowReader
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.verification.stored import StoredBlocks
from promise_pub.http import login
from promise_pub.http.etags import add_etag, require_revalidation
from promise_pub.http.features import OpenFeature
from promise_pub.http.insets import INSETS, Place
from promise_pub.http.intake.client_address import TRUSTED_PROXIES
from promise_pub.http.intake.connections import CONNECTIONS, Connections, track_request
from promise_pub.http.intake.expect import close_if_body_unread
from promise_pub.http.intake.limits import (
    DEFAULT_LIMITS,
    LIMITS,
    Limits,
    limit_parameters,
    limit_time,
    refuse_encoded_bodies,
)
from promise_pub.http.intake.pace import PACE, Pace
from promise_pub.http.intake.shares import BODIES, STREAMS, Share
from promise_pub.http.keys import AUTHENTICATOR, NAV, PROBES, NavItem, Probe
from promise_pub.http.negotiation import add_vary
from promise_pub.http.ops import health, metrics
from promise_pub.http.ops.metrics import METRICS, Metrics
from promise_pub.http.ops.request_log import add_request_id, assign_request_id
from promise_pub.http.ops.service_checks import SharedProbes
from promise_pub.http.problem_catalog import add_entries
from promise_pub.http.problems import advice_on_run, render_errors
from promise_pub.http.responses import LARGE_ANSWERS, LargeAnswers
from promise_pub.http.security import (
    EXPOSURE,
    LOOPBACK,
    Exposure,
    add_security_headers,
    check_host_and_origin,
    headers_of,
)
from promise_pub.presentation import charts, fate_words, gauges, outcome_words, wording
from promise_pub.settings.model import RabbitSettings, asset
from promise_pub.text import unmasked
from promise_pub.web.docs import page
from promise_pub.web.keys import BLOCKS, BROKER, DRY_RUNS, EMPLOYEES, FEEDS, LEDGER, ROWS, RUNS
from promise_pub.web.ops.metrics import RunCollector
from promise_pub.web.runs import compare, history, index, preview, rows, stream
from promise_pub.web.runs import run as run_pages
from promise_pub.web.runs.feed import RunFeeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of an application, opened and closed by its creator. Without an authenticator nobody has to log in."""

    runs: Runs
    ledger: Ledger
    probes: Mapping[str, Probe]
    broker: RabbitSettings = RabbitSettings(host="localhost")
    exposure: Exposure = LOOPBACK
    authenticator: Authenticator | None = None
    limits: Limits = DEFAULT_LIMITS


def make_app(services: Services, features: Sequence[OpenFeature] = ()) -> web.Application:
    """Returns the application, ready to be served."""
    app = web.Application(
        # The order is security: each sees a request only after those above have let it through.
        middlewares=[
            track_request,
            assign_request_id,
            *(middleware for one in features for middleware in one.feature.middlewares),
            render_errors,
            limit_time,
            check_host_and_origin,
            login.authenticate,
            limit_parameters,
            refuse_encoded_bodies,
            add_etag,
        ],
        client_max_fields=services.limits.fields,
    )
    exposure = services.exposure
    connections = Connections(services.limits, headers_of(exposure), exposure.trusted_proxies)
    collectors = [RunCollector(services.runs), *(collector for one in features for collector in one.collectors)]
    shared = SharedProbes(services.probes, health.PROBE_TIMEOUT)
    measured = Metrics(shared.probes, connections, collectors)
    employees = SharedWork(lambda: services.ledger.count_employees())
    app.cleanup_ctx.extend((connections.sweeping, measured.measuring, shared.closing))
    app.on_cleanup.extend((lambda _: employees.close(), lambda _: app[ROWS].close()))
    app[RUNS], app[LEDGER], app[PROBES], app[BROKER] = services.runs, services.ledger, shared.probes, services.broker
    app[EMPLOYEES] = employees
    app[ROWS] = RowReader(services.runs.uploads, services.ledger)
    app[EXPOSURE], app[TRUSTED_PROXIES], app[LIMITS] = exposure, exposure.trusted_proxies, services.limits
    app[CONNECTIONS], app[METRICS], app[DRY_RUNS] = connections, measured, DryRuns()
    app[STREAMS], app[BODIES] = Share.of_streams(services.limits), Share.of_bodies(services.limits)
    app[preview.PREVIEWS], app[LARGE_ANSWERS] = preview.Previews(), LargeAnswers()
    app[BLOCKS], app[FEEDS], app[PACE] = StoredBlocks(), RunFeeds(), Pace()
    app[INSETS] = {
        place: [one.feature.insets[place] for one in features if place in one.feature.insets] for place in Place
    }
    app[NAV] = [*NAVIGATION, *(item for one in features for item in one.feature.nav)]
    if services.authenticator:
        app[AUTHENTICATOR] = services.authenticator
        app.add_routes(login.routes)
    for one in features:
        add_entries(one.feature.errors)
        for key, value in one.values.items():
            app[key] = value
    _set_up_templates(app, features)
    _add_routes(app, features)
    app.on_response_prepare.extend(
        (
            close_if_body_unread,
            login.keep_private,
            add_vary,
            require_revalidation,
            add_security_headers,
            add_request_id,
        )
    )
    # These warnings quote what strangers send; such a file simply has no name, or such a field.
    warnings.simplefilter("ignore", BadContentDispositionParam)
    warnings.simplefilter("ignore", BadContentDispositionHeader)
    return app


def _set_up_templates(app: web.Application, features: Sequence[OpenFeature]) -> None:
    of_features = {one.feature.name: jinja2.FileSystemLoader(one.feature.folder / "templates") for one in features}
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(asset("templates")), jinja2.PrefixLoader(of_features)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        filters=FILTERS,
    )
    aiohttp_jinja2.get_env(app).globals["version"] = __version__


def _shown(value: Any) -> Any:
    """Returns what a template writes for a value: whoever wrote a text, it does not look like another one.

    Markup is made of such values.
    """
    return unmasked(value) if type(value) is str else value


def _add_routes(app: web.Application, features: Sequence[OpenFeature]) -> None:
    """Adds the routes of the heart and of features, and last those that describe all of them."""
    for room in (index, history, run_pages, rows, stream, compare, preview, health, metrics):
        app.add_routes(room.routes)
    for one in features:
        app.add_routes(one.feature.routes)
        static = one.feature.folder / "static"
        if static.is_dir():
            app.router.add_static(f"/static/{one.feature.name}/", static)
    page.set_up(app, features)
    app.router.add_static("/static/", asset("static"))


NAVIGATION = (NavItem("/", "New run"), NavItem("/runs", "Runs"))

FILTERS: Mapping[str, Callable[..., Any]] = {
    "moment": wording.moment,
    "duration": wording.duration,
    "thousands": wording.thousands,
    "size": wording.size,
    "state": wording.state,
    "settings": wording.settings,
    "roughly": wording.roughly,
    "rounded": wording.rounded,
    "pace": wording.pace,
    "seconds_left": wording.seconds_left,
    "headline": wording.headline,
    "sentence": wording.sentence,
    "tone": wording.tone,
    "notes": outcome_words.list_notes,
    "clauses": outcome_words.list_clauses,
    "short_verdict": outcome_words.shorten_verdict,
    "advice_on_run": advice_on_run,
    "tab_title": wording.tab_title,
    "fate_words": fate_words.WORDS.__getitem__,
    "rows_in_need": fate_words.rows_in_need,
    "sendable": fate_words.sendable,
    "what_would_prove_more": fate_words.what_would_prove_more,
    "gauges": gauges.gauges,
    "charts": charts.charts,
    "awaited_charts": charts.awaited_charts,
    "sparkline": charts.sparkline,
}
