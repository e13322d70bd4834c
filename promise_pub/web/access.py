"""What every request leaves behind: an id that its log lines and its answer bear, a line in the log, figures."""

from __future__ import annotations

import logging
import re
import secrets

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from promise_pub.logs import REQUEST, told
from promise_pub.web.connections import CONNECTIONS
from promise_pub.web.keys import CODE, VISITOR
from promise_pub.web.metrics import METRICS
from promise_pub.web.problems import Handler

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
REQUEST_ID = web.RequestKey("request_id", str)

_SANE = re.compile(r"[A-Za-z0-9._:=+/-]{1,64}")  # what a proxy or a tracer sends


def id_of(request: web.BaseRequest) -> str:
    """The client's id for the request, if it is one; else a new one."""
    if REQUEST_ID not in request:
        sent = request.headers.get(HEADER, "")
        request[REQUEST_ID] = sent if _SANE.fullmatch(sent) else secrets.token_hex(8)
    return request[REQUEST_ID]


@web.middleware
async def name_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Has every log line of the request tell its id."""
    REQUEST.set(id_of(request))
    return await handler(request)


async def add_id(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Gives the id back."""
    response.headers[HEADER] = id_of(request)


class AccessLogger(AbstractAccessLogger):
    """Counts every answer and logs a line for it, once it is written, or its client has gone.

    The query is left out: anything may stand in it.
    """

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        visitor = request.get(VISITOR)
        app = request.app if isinstance(request, web.Request) and _is_routed(request) else None
        if app:
            app[METRICS].answered(request, response.status, time)  # type: ignore[arg-type]
            app[CONNECTIONS].is_busy(request.protocol, busy=False)
        log.info(
            "Request",
            extra=told(
                request=id_of(request),
                method=request.method,
                path=request.path,
                status=response.status,
                code=request.get(CODE),
                bytes=response.body_length,
                ms=round(time * 1000, 1),
                client=request.remote,
                user=visitor and visitor.name,
            ),
        )


def _is_routed(request: web.Request) -> bool:
    """Not what was no HTTP."""
    return getattr(request, "_match_info", None) is not None
