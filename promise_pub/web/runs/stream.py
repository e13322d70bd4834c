"""The progress of a run as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from promise_pub.errors import DatabaseError
from promise_pub.http.keys import AUTHENTICATOR
from promise_pub.http.negotiation import HTML, negotiate_format
from promise_pub.http.responses import fragment
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport
from promise_pub.web.keys import RUNS
from promise_pub.web.runs.run import find_run

CHECK_INTERVAL = 0.2  # seconds between checks of a run of this server: at most five events per second
LEDGER_INTERVAL = 1.0  # seconds between checks of the ledger, for a run of another server
CHART_INTERVAL = 1.0  # seconds between charts, which are larger than all the rest
MAX_SILENCE = 1.0  # seconds until an event is sent although only time has passed
SEND_TIMEOUT = 30.0  # seconds that a client may leave what it was sent unread
RETRY = 1000  # milliseconds after which a browser reconnects
REAUTHENTICATE_AFTER = 60.0  # seconds of a stream where users log in; the browser reconnects and is authenticated anew
ENDED = "end"  # the id of the last event

routes = web.RouteTableDef()


@routes.get("/runs/{id}/stream")
async def stream_run(request: web.Request) -> web.StreamResponse:
    """Sends `progress` whenever the run has changed, and `end` when it has ended; both carry the run.

    The run is JSON, or with `?format=html` the parts of its page that change. A client that reconnects with the id
    of the end gets 204, since nothing more will come.
    """
    # Browsers ask for a stream by its type, and take the format that they get.
    html = "format" in request.query and negotiate_format(request) == HTML
    render = _html_renderer(request) if html else _render_json
    report = await find_run(request)
    if request.headers.get("Last-Event-ID") == ENDED and report.state.final:
        return web.Response(status=204)
    if request.method == "HEAD":
        return web.Response(headers=EventSourceResponse().headers)
    async with sse_response(request, send_timeout=SEND_TIMEOUT) as response:
        longest = REAUTHENTICATE_AFTER if AUTHENTICATOR in request.app else None
        # The client has disconnected, or will reconnect: once the database is back, or to be authenticated.
        with suppress(ConnectionError, TimeoutError, DatabaseError):
            async with asyncio.timeout(longest):
                async for event, run in _events(request, report):
                    last = ENDED if event == ENDED else None
                    await response.send(render(run), event=event, id=last, retry=RETRY)
    return response


def _render_json(report: RunReport) -> str:
    return json.dumps(encode_run(report), ensure_ascii=False)


def _html_renderer(request: web.Request) -> Callable[[RunReport], str]:
    clock = asyncio.get_running_loop().time
    # The page itself came with charts.
    drawn_at = clock()

    def render(report: RunReport) -> str:
        nonlocal drawn_at
        drawn = clock() - drawn_at >= CHART_INTERVAL
        drawn_at = clock() if drawn else drawn_at
        return fragment(request, "run_live.html", {"run": report, "drawn": drawn})

    return render


async def _events(request: web.Request, report: RunReport) -> AsyncIterator[tuple[str, RunReport]]:
    clock = asyncio.get_running_loop().time
    told: dict[str, object] = {}
    told_at = 0.0
    # The rows of a run that has ended are worked out before its end is recorded, and who is told of the end looks at them.
    while not report.state.final or _is_being_recorded(request, report):
        changed = {**encode_run(report), "seconds": None}
        if changed != told or clock() - told_at >= MAX_SILENCE:
            told, told_at = changed, clock()
            yield "progress", report
        here = request.app[RUNS].find(report.id)
        await asyncio.sleep(CHECK_INTERVAL if here else LEDGER_INTERVAL)
        report = await find_run(request)
    yield ENDED, report


def _is_being_recorded(request: web.Request, report: RunReport) -> bool:
    run = request.app[RUNS].find(report.id)
    return run is not None and not run.done.is_set()
