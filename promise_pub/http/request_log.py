"""What every request leaves behind: an id that its log lines and its answer bear, a line in the log, figures."""

from __future__ import annotations

import logging
import re
import secrets

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from promise_pub.http.client_address import client_of
from promise_pub.http.connections import CONNECTIONS
from promise_pub.http.keys import CODE, ROUTE, VISITOR
from promise_pub.http.metrics import METRICS
from promise_pub.logs import REQUEST, told

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
async def assign_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Has every log line of the request tell its id, and its figures the route that was found for it."""
    REQUEST.set(id_of(request))
    if resource := request.match_info.route.resource:
        request[ROUTE] = resource.canonical
    return await handler(request)


async def add_request_id(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Gives the id back."""
    response.headers[HEADER] = id_of(request)


def request_logger(app: web.Application) -> type[AbstractAccessLogger]:
    """What aiohttp is to tell every answer of the application to, once it is written, or its client has gone."""

    class AccessLogger(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            app[CONNECTIONS].is_busy(request.protocol, busy=False)
            app[METRICS].count_request(request.method, request.get(ROUTE), response.status, time)
            _tell(request, response, time)

    return AccessLogger


def _tell(request: web.BaseRequest, response: web.StreamResponse, seconds: float) -> None:
    """A line for it. The query is left out: anything may stand in it."""
    visitor, client = request.get(VISITOR), client_of(request)
    log.info(
        "Request",
        extra=told(
            request=id_of(request),
            method=request.method,
            path=request.path,
            status=response.status,
            code=request.get(CODE),
            bytes=response.body_length,
            ms=round(seconds * 1000, 1),
            client=client and str(client.address),
            user=visitor and visitor.name,
        ),
    )
