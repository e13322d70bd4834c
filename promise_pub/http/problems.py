"""Errors as answers: their status, their page, their problem details (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub import errors
from promise_pub.http.keys import CODE
from promise_pub.http.negotiation import HTML, JSON, negotiate_format
from promise_pub.http.responses import as_json, page
from promise_pub.presentation.advice import title_of, what_to_do
from promise_pub.records import RunReport, State

log = logging.getLogger(__name__)

_RETRY_AFTER = "10"  # seconds; the order of a run's length

_STATUS: dict[type[errors.PromisePubError], int] = {
    errors.RequestError: 400,
    errors.RunNotFound: 404,
    errors.SessionNotFound: 404,
    errors.WrongState: 409,
    errors.UploadTooSlow: 408,
    errors.FileTooLarge: 413,
    errors.DiskFull: 507,
    errors.NoUsableRow: 422,
    errors.BadHeader: 422,
    errors.NotCsv: 422,
    errors.AccessError: 403,
    errors.LoginRequired: 401,
    errors.LoginFailed: 401,
    errors.TokenRefused: 401,
    errors.TooManyTries: 429,
    errors.WrongHost: 421,
    errors.ServerBusy: 503,
    errors.ConsumerError: 502,
    errors.BrokerError: 502,
    errors.DatabaseError: 503,
    errors.PromisePubError: 500,
}


def status_of(kind: type[errors.PromisePubError]) -> int:
    """The status of the nearest class above that has one."""
    return next(_STATUS[above] for above in kind.__mro__ if above in _STATUS)


def error_kinds(kind: type[errors.PromisePubError]) -> Iterator[type[errors.PromisePubError]]:
    """Yields the class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from error_kinds(below)


_STATUS_BY_CODE = {kind.code: status_of(kind) for kind in error_kinds(errors.PromisePubError)} | {
    "interrupted": 503,
    "cancelled": 409,
}
_STOPPED = {"cancelled", "interrupted"}
_PASSING = {kind.code for kind in error_kinds(errors.PromisePubError) if kind.passes} | {"interrupted"}


def status_of_run(report: RunReport) -> int:
    """200 for a run that ended by itself, whatever its verdict; else what its error says."""
    if report.state is State.COMPLETED or report.error is None:
        return 200
    return _STATUS_BY_CODE.get(report.error.code, 500)


def advice_on_run(code: str) -> str:
    """Says what to do about a run that ended with this error. Nothing about one that somebody stopped."""
    return "" if code in _STOPPED else what_to_do(_STATUS_BY_CODE.get(code, 500), code)


def ask_again_later(response: web.StreamResponse, code: str, passes: bool = False) -> None:
    """Says when to try again what is not available now, where that is of use: `passes`, or the code says so."""
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE and (passes or code in _PASSING):
        response.headers["Retry-After"] = _RETRY_AFTER


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Problem details with a stable `code`, and what to do."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "advice": what_to_do(status, code),
        **more,
    }


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever a handler raises gets an answer in the face the client wants."""
    try:
        return await handler(request)
    except errors.PromisePubError as error:
        return _answer(request, status_of(type(error)), error.code, error.message, error)
    except web.HTTPError as error:
        response = _answer(request, error.status, f"http_{error.status}", _said_by_aiohttp(request, error), None)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("%s %s failed for a reason nobody foresaw", request.method, request.path)
        return _answer(request, 500, "internal", "The server failed; its log says how.", None)


def _answer(
    request: web.Request, status: int, code: str, detail: str, error: errors.PromisePubError | None
) -> web.Response:
    rejected = [row._asdict() for row in error.rejected] if isinstance(error, errors.NoUsableRow) else []
    if _face(request) == JSON:
        body = problem(status, code, detail, **({"rejected": rejected} if rejected else {}))
        response = as_json(body, status, "application/problem+json")
    else:
        context = {
            "title": title_of(status),
            "status": status,
            "phrase": HTTPStatus(status).phrase,
            "code": code,
            "detail": detail,
            "advice": what_to_do(status, code),
            "rejected": rejected,
        }
        response = page(request, "error.html", context, status)
    ask_again_later(response, code, error is None or error.passes)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        response.force_close()  # the rest of what is too slow is not waited for
    request[CODE] = code
    return response


def put_into_problem(response: web.Response) -> int:
    """What aiohttp answers, in plain text, to what is no HTTP: whoever sent it is no browser. Its new length."""
    detail = " ".join((response.text or "").split())
    body = problem(response.status, f"http_{response.status}", detail)
    response.content_type = "application/problem+json"
    response.body = json.dumps(body, ensure_ascii=False).encode()
    return len(response.body)


def _face(request: web.Request) -> str:
    try:
        return negotiate_format(request)
    except errors.BadParameter:
        return HTML


def _said_by_aiohttp(request: web.Request, error: web.HTTPError) -> str:
    if isinstance(error, web.HTTPNotFound):
        return f"There is nothing at {request.path}."
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} takes {', '.join(sorted(error.allowed_methods))}, not {request.method}."
    return error.text or error.reason
