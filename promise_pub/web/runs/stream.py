"""The progress of a run as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from promise_pub.errors import DatabaseError
from promise_pub.http.intake.connection import Standing
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.intake.shares import STREAMS
from promise_pub.http.keys import AUTHENTICATOR, may_operate
from promise_pub.http.negotiation import HTML, negotiate_format
from promise_pub.http.responses import fragment
from promise_pub.json_text import dump_json
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport
from promise_pub.web.keys import FEEDS, RUNS
from promise_pub.web.runs.feed import Event
from promise_pub.web.runs.run import find_run, look_at_run

CHECK_INTERVAL = 0.2  # seconds between checks of a run of this server: at most five events per second
LEDGER_INTERVAL = 1.0  # seconds between checks of the ledger, for a run of another server
CHART_INTERVAL = 1.0  # seconds between charts, which are larger than all the rest
MAX_SILENCE = 1.0  # seconds until an event is sent although only time has passed
SEND_TIMEOUT = 30.0  # seconds that a client may leave what it was sent unread
RETRY = 1000  # milliseconds after which a browser reconnects
REAUTHENTICATE_AFTER = 60.0  # seconds of a stream where users log in; the browser reconnects and is authenticated anew
ENDED = "end"  # the id of the last event

_LINE_END = re.compile(r"\r\n|\r|\n")

routes = web.RouteTableDef()


@routes.get("/runs/{id}/stream")
async def stream_run(request: web.Request) -> web.StreamResponse:
    """Sends `progress` whenever the run has changed, and `end` when it has ended; both carry the run.

    The run is JSON, or with `?format=html` the parts of its page that change. A client that reconnects with the id
    of the end gets 204, since nothing more will come. One that reads slowly misses what was between.
    """
    # Browsers ask for a stream by its type, and take the format that they get.
    html = "format" in request.query and negotiate_format(request) == HTML
    report = await find_run(request)
    if request.headers.get("Last-Event-ID") == ENDED and report.state.final:
        return web.Response(status=204)
    if request.method == "HEAD":
        return web.Response(headers=EventSourceResponse().headers)
    with request.app[STREAMS].hold(request):
        request.app[CONNECTIONS].recognise(request, Standing.STREAM)
        return await _stream(request, report, html=html)


async def _stream(request: web.Request, report: RunReport, *, html: bool) -> web.StreamResponse:
    kind = ("html", may_operate(request)) if html else "json"
    make = partial(_as_html, request) if html else _as_json
    app = request.app
    if request.transport is None:
        return web.Response()  # the client has left, which the library does not expect
    async with sse_response(request, send_timeout=SEND_TIMEOUT) as response:
        longest = REAUTHENTICATE_AFTER if AUTHENTICATOR in app else None
        # The client has disconnected, or will reconnect: once the database is back, or to be authenticated.
        with suppress(ConnectionError, TimeoutError, DatabaseError):
            async with (
                asyncio.timeout(longest),
                app[FEEDS].follow(report.id, partial(_events, app, report)) as events,
            ):
                async for event in events:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await response.write(event.render(kind, make))
    return response


def _as_json(event: Event) -> bytes:
    return _encode(event, dump_json(encode_run(event.report)))


def _as_html(request: web.Request, event: Event) -> bytes:
    return _encode(event, fragment(request, "run_live.html", {"run": event.report, "drawn": event.drawn}))


def _encode(event: Event, data: str) -> bytes:
    """Returns an event as it is sent, once for all who get it."""
    named = f"id: {ENDED}\nevent: {event.name}" if event.name == ENDED else f"event: {event.name}"
    # As readers of a stream divide lines, which is not as Python does.
    lines = "\n".join(f"data: {line}" for line in _LINE_END.split(data))
    return f"{named}\n{lines}\nretry: {RETRY}\n\n".encode()


async def _events(app: web.Application, report: RunReport) -> AsyncGenerator[Event]:
    clock = asyncio.get_running_loop().time
    told: dict[str, object] = {}
    told_at = 0.0
    # A page comes with charts itself.
    drawn_at = clock()
    # The rows of a run that has ended are worked out before its end is recorded, and who is told of the end looks at them.
    while not report.state.final or _is_being_recorded(app, report):
        changed = {**encode_run(report), "seconds": None}
        if changed != told or clock() - told_at >= MAX_SILENCE:
            told, told_at = changed, clock()
            drawn = clock() - drawn_at >= CHART_INTERVAL
            drawn_at = clock() if drawn else drawn_at
            yield Event("progress", report, drawn=drawn)
        here = app[RUNS].find(report.id)
        await asyncio.sleep(CHECK_INTERVAL if here else LEDGER_INTERVAL)
        report = await look_at_run(app, report.id)
    yield Event(ENDED, report)


def _is_being_recorded(app: web.Application, report: RunReport) -> bool:
    run = app[RUNS].find(report.id)
    return run is not None and not run.done.is_set()
