"""A run as it goes, by server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from promise_pub.errors import DatabaseError
from promise_pub.http.keys import AUTHENTICATOR
from promise_pub.http.negotiation import HTML, JSON, negotiate_format
from promise_pub.http.responses import fragment
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import RunReport
from promise_pub.web.keys import RUNS
from promise_pub.web.runs.run import find_run

LOOK_EVERY = 0.2  # seconds between looks at a run of this server: five events a second at most
LOOK_ELSEWHERE_EVERY = 1.0  # seconds between looks at the ledger, for a run of another server
DRAW_EVERY = 1.0  # seconds between charts, which take more room than all the rest
TELL_EVERY = 1.0  # seconds in which something is told though only time has passed
SEND_TIMEOUT = 30.0  # seconds that a client may leave what it was sent unread
RETRY = 1000  # milliseconds after which a browser comes back
ASK_AGAIN_AFTER = 60.0  # seconds of a stream where users log in; browsers come back, and are asked again who comes
ENDED = "end"  # the id of the last event

routes = web.RouteTableDef()


@routes.get("/runs/{id}/stream")
async def stream_run(request: web.Request) -> web.StreamResponse:
    """`progress` whenever the run has changed, `end` when it has ended; both carry the run.

    It comes as JSON, or with `?format=html` as the parts of its page that change. Whoever comes back with the id of
    the end is told, by 204, that there is nothing more.
    """
    tell = _html(request) if _face(request) == HTML else _json
    report = await find_run(request)
    if request.headers.get("Last-Event-ID") == ENDED and report.state.final:
        return web.Response(status=204)
    if request.method == "HEAD":
        return web.Response(headers=EventSourceResponse().headers)
    async with sse_response(request, send_timeout=SEND_TIMEOUT) as response:
        longest = ASK_AGAIN_AFTER if AUTHENTICATOR in request.app else None
        # A client that has gone, or comes back: when the database does, or to be asked who it is.
        with suppress(ConnectionError, TimeoutError, DatabaseError):
            async with asyncio.timeout(longest):
                async for event, run in _events(request, report):
                    last = ENDED if event == ENDED else None
                    await response.send(tell(run), event=event, id=last, retry=RETRY)
    return response


def _face(request: web.Request) -> str:
    """Browsers ask for a stream, and take what they are given."""
    return negotiate_format(request) if "format" in request.query else JSON


def _json(report: RunReport) -> str:
    return json.dumps(encode_run(report), ensure_ascii=False)


def _html(request: web.Request) -> Callable[[RunReport], str]:
    clock = asyncio.get_running_loop().time
    drawn_at = clock()  # the page came with its charts

    def tell(report: RunReport) -> str:
        nonlocal drawn_at
        drawn = clock() - drawn_at >= DRAW_EVERY
        drawn_at = clock() if drawn else drawn_at
        return fragment(request, "run_live.html", {"run": report, "drawn": drawn})

    return tell


async def _events(request: web.Request, report: RunReport) -> AsyncIterator[tuple[str, RunReport]]:
    clock = asyncio.get_running_loop().time
    told: dict[str, object] = {}
    told_at = 0.0
    while not report.state.final:
        changed = {**encode_run(report), "seconds": None}
        if changed != told or clock() - told_at >= TELL_EVERY:
            told, told_at = changed, clock()
            yield "progress", report
        here = request.app[RUNS].find(report.id)
        await asyncio.sleep(LOOK_EVERY if here else LOOK_ELSEWHERE_EVERY)
        report = await find_run(request)
    yield ENDED, report
