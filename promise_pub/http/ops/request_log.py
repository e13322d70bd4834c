"""The log line and metrics of each request, and the id that its log lines and its response share."""

from __future__ import annotations

import logging
import re
import secrets

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from promise_pub.http.intake.client_address import client_of
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.keys import CODE, PRINCIPAL, ROUTE
from promise_pub.http.ops.metrics import METRICS
from promise_pub.logs import REQUEST, fields

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
REQUEST_ID = web.RequestKey("request_id", str)

# Ids as proxies and tracers send them.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._:=+/-]{1,64}")


def id_of(request: web.BaseRequest) -> str:
    """Returns the request's id: the client's, if it is well-formed, else a new one."""
    if REQUEST_ID not in request:
        sent = request.headers.get(HEADER, "")
        request[REQUEST_ID] = sent if _WELL_FORMED.fullmatch(sent) else secrets.token_hex(8)
    return request[REQUEST_ID]


@web.middleware
async def assign_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the request's id into its log lines, and notes the route that was found for it."""
    REQUEST.set(id_of(request))
    if resource := request.match_info.route.resource:
        request[ROUTE] = resource.canonical
    return await handler(request)


async def add_request_id(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Sends the request's id back; an `on_response_prepare` signal."""
    response.headers[HEADER] = id_of(request)


def request_logger(app: web.Application) -> type[AbstractAccessLogger]:
    """Returns the class that aiohttp calls after each response was written, or its client has disconnected."""

    class AccessLogger(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            app[CONNECTIONS].set_busy(request.protocol, busy=False)
            app[METRICS].count_request(request.method, request.get(ROUTE), response.status, time)
            _log_response(request, response, time)

    return AccessLogger


def _log_response(request: web.BaseRequest, response: web.StreamResponse, seconds: float) -> None:
    """Logs a response. The query is left out: it may contain anything."""
    principal, client = request.get(PRINCIPAL), client_of(request)
    log.info(
        "Request",
        extra=fields(
            request=id_of(request),
            method=request.method,
            path=request.path,
            status=response.status,
            code=request.get(CODE),
            bytes=response.body_length,
            ms=round(seconds * 1000, 1),
            client=client and str(client.address),
            user=principal and principal.name,
        ),
    )
