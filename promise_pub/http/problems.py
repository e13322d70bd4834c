"""Errors as answers: a page, or problem details (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub import errors
from promise_pub.http.keys import CODE, ERROR_FORMAT, is_known
from promise_pub.http.negotiation import HTML, JSON, negotiate_format
from promise_pub.http.problem_catalog import advise, advise_on_status, find_entry, title_of
from promise_pub.http.responses import as_json, page
from promise_pub.records import RunReport, State

log = logging.getLogger(__name__)

_RETRY_AFTER = "10"  # seconds; the order of a run's length


def status_of_run(report: RunReport) -> int:
    """Returns 200 for a run that ended by itself, whatever its verdict; else the status of its error."""
    if report.state is State.COMPLETED or report.error is None:
        return 200
    return find_entry(errors.find_class(report.error.code)).status


def advice_on_run(code: str) -> str:
    """Returns what to do about a run that ended with this error. Nothing about one that somebody stopped."""
    return advise(errors.find_class(code))


def ask_again_later(response: web.StreamResponse, passes: bool) -> None:
    """Says when to ask again for what is unavailable now, if it may pass by itself."""
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE and passes:
        response.headers["Retry-After"] = _RETRY_AFTER


def problem(kind: type[errors.PromisePubError], detail: str, **more: Any) -> dict[str, Any]:
    """Returns the problem details of an error: its stable code, what happened, and what to do."""
    return _details(find_entry(kind).status, kind.code, detail, advise(kind), **more)


def _http_problem(status: int, detail: str) -> dict[str, Any]:
    return _details(status, f"http_{status}", detail, advise_on_status(status))


def _details(status: int, code: str, detail: str, advice: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "advice": advice,
        **more,
    }


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers whatever a handler raises, in the format that the client wants; a middleware."""
    try:
        return await handler(request)
    except errors.PromisePubError as error:
        more = {}
        if isinstance(error, errors.NoUsableRow) and error.rejected:
            more["rejected"] = [row._asdict() for row in error.rejected]
        return _answer(
            request, problem(type(error), error.message, **more), error.passes, busy=type(error) is errors.ServerBusy
        )
    except web.HTTPError as error:
        response = _answer(request, _http_problem(error.status, _said_by_aiohttp(request, error)), passes=True)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("%s %s failed unexpectedly", request.method, request.path)
        return _answer(request, problem(errors.Internal, errors.Internal.default_message()), passes=False)


def _answer(request: web.Request, details: dict[str, Any], passes: bool, *, busy: bool = False) -> web.Response:
    """Returns the answer; where the server is too busy for more, that is seldom a page."""
    status: int = details["status"]
    if _format_of(request) == JSON or busy and not _may_have_page(request):
        response = as_json(details, status, "application/problem+json")
    else:
        context = {"rejected": [], **details, "title": title_of(status), "phrase": details["title"]}
        response = page(request, "error.html", context, status)
    ask_again_later(response, passes)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        response.force_close()  # the rest of what is too slow is not waited for
    request[CODE] = details["code"]
    return response


def _may_have_page(request: web.Request) -> bool:
    """Tells who may have a page that says that the server is busy: who is known, and asks for one by name."""
    return is_known(request) and "text/html" in request.headers.get("Accept", "")


def render_malformed(response: web.Response) -> bytes:
    """Returns problem details instead of aiohttp's plain text for a malformed request, which no browser sends."""
    body = _http_problem(response.status, " ".join((response.text or "").split()))
    response.content_type = "application/problem+json"
    return json.dumps(body, ensure_ascii=False).encode()


def _format_of(request: web.Request) -> str:
    if ERROR_FORMAT in request:
        return request[ERROR_FORMAT]
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
