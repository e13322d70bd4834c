"""Logging in and out, and the middleware that authenticates every request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.people import Principal
from promise_pub.addresses import network_of
from promise_pub.errors import (
    AccessError,
    BadParameter,
    LoginFailed,
    LoginRequired,
    NotAllowed,
    ServerBusy,
    TokenRefused,
    TooManyTries,
)
from promise_pub.http.intake.client_address import client_of
from promise_pub.http.intake.connection import Standing
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.intake.pace import PACE
from promise_pub.http.keys import AUTHENTICATOR, CODE, PRINCIPAL
from promise_pub.http.negotiation import HTML, negotiate_format
from promise_pub.http.problem_catalog import advise, find_entry
from promise_pub.http.problems import problem
from promise_pub.http.responses import as_json, page
from promise_pub.http.security import SAFE_METHODS, is_encrypted

COOKIE = "promise_pub_session"
# By the routes that are found, as they are named, and not by the path: the two could be parsed differently.
UNPACED = frozenset({"/healthz", "/static"})
OPEN = UNPACED | {"/login", "/logout"}
FORM_LIMIT = 16 * 1024  # bytes; a password of 1,024 characters takes 12 KB at most
FORM_TIMEOUT = 8.0  # seconds for the form to arrive

# A path of ours. Browsers take // and \ at its start for another host, and skip tabs and line ends.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,2000}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)

routes = web.RouteTableDef()


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets viewers send safe requests and operators all requests, where users log in; a middleware.

    Every method that is not safe needs an operator, so that a new route is guarded by default. Whose request it is
    decides about the place of the connection; strangers and viewers wait for a turn where they ask too often.
    """
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in OPEN:
        if resource.canonical not in UNPACED:
            await request.app[PACE].take_turn(request)
        return await handler(request)
    if AUTHENTICATOR not in request.app:
        request.app[CONNECTIONS].recognise(request, Standing.OPERATOR)
        return await handler(request)
    try:
        principal = await _principal(request, request.app[AUTHENTICATOR])
    except ServerBusy:
        await request.app[PACE].take_turn(request)
        raise
    except (LoginRequired, TokenRefused) as error:
        await request.app[PACE].take_turn(request)
        request[CODE] = error.code
        return _deny(request, error)
    request[PRINCIPAL] = principal
    request.app[CONNECTIONS].recognise(request, Standing.OPERATOR if principal.may_operate else Standing.VIEWER)
    if not principal.may_operate:
        await request.app[PACE].take_turn(request)
    if request.method not in SAFE_METHODS and not principal.may_operate:
        raise NotAllowed
    return await handler(request)


async def _principal(request: web.Request, authenticator: Authenticator) -> Principal:
    client = client_of(request)
    network = network_of(client.address) if client else ""
    if bearer := _BEARER.fullmatch(request.headers.get("Authorization", "")):
        return await authenticator.find_by_token(bearer[1], network)
    principal = await authenticator.find_by_session(request.cookies.get(COOKIE, ""), network)
    if principal is None:
        raise LoginRequired
    return principal


def _deny(request: web.Request, error: AccessError) -> web.Response:
    """Sends browsers to the login page, and problem details to scripts, which would not recognise the page."""
    if isinstance(error, LoginRequired) and _is_browser(request):
        back = request.path_qs if request.method in SAFE_METHODS else "/"
        return _see(f"/login?{urlencode({'next': back})}")
    return _problem(error)


def _problem(error: AccessError) -> web.Response:
    body = problem(type(error), error.message)
    response = as_json(body, body["status"], "application/problem+json")
    if response.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _is_browser(request: web.Request) -> bool:
    """Tells a client that asks for HTML by name; one that accepts anything is a script."""
    try:
        return negotiate_format(request) == HTML and "text/html" in request.headers.get("Accept", "")
    except BadParameter:
        return False


@routes.get("/login")
async def show_login(request: web.Request) -> web.Response:
    """The form."""
    return _form(request, _local(request.query.get("next", "")))


@routes.post("/login")
async def log_in(request: web.Request) -> web.Response:
    """Starts a session and redirects to the page that was asked for, or shows the form with the reason why not."""
    fields = await _fields(request)
    after = _local(fields.get("next", ""))
    name, password = fields.get("name", ""), fields.get("password", "")
    client = client_of(request)
    address = str(client.address) if client else ""
    try:
        sealed = await request.app[AUTHENTICATOR].log_in(name, password, address)
    except (LoginFailed, TooManyTries) as error:
        return _refused(request, error, after)
    response = _see(after)
    _set_cookie(request, response, sealed)
    return response


@routes.post("/logout")
async def log_out(request: web.Request) -> web.Response:
    """Ends the session, here and in every copy of its cookie."""
    await request.app[AUTHENTICATOR].log_out(request.cookies.get(COOKIE, ""))
    response = _see("/login")
    response.del_cookie(COOKIE, path="/")
    return response


async def _fields(request: web.Request) -> Mapping[str, str]:
    """Returns the form's fields. Raises BadParameter for anything but a login form."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadParameter("A login is a form: application/x-www-form-urlencoded.")
    if request.content_length is None or request.content_length > FORM_LIMIT:
        raise BadParameter(f"A login is a form of at most {FORM_LIMIT} bytes.")
    try:
        async with asyncio.timeout(FORM_TIMEOUT):
            form = await request.post()
    except (TimeoutError, ConnectionError, web.RequestPayloadError, ValueError, LookupError):
        raise BadParameter("The login form cannot be read.") from None
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _local(path: str) -> str:
    """Returns where to go after the login: `path` if it is one of this server, else the first page."""
    return path if _LOCAL_PATH.fullmatch(path) else "/"


def _refused(request: web.Request, error: LoginFailed | TooManyTries, after: str) -> web.Response:
    request[CODE] = error.code
    response = _form(request, after, error) if _is_browser(request) else _problem(error)
    if isinstance(error, TooManyTries):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _form(request: web.Request, after: str, error: AccessError | None = None) -> web.Response:
    status = find_entry(type(error)).status if error else 200
    context = {
        "after": after,
        "trouble": error.message if error else "",
        "advice": advise(type(error)) if error else "",
    }
    response = page(request, "login.html", context, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _set_cookie(request: web.Request, response: web.Response, sealed: str) -> None:
    response.set_cookie(
        COOKIE,
        sealed,
        max_age=request.app[AUTHENTICATOR].login_seconds,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_encrypted(request),
    )


async def keep_private(request: web.Request, response: web.StreamResponse) -> None:
    """Keeps shared caches from what a user saw, and browsers from showing it after the logout."""
    if PRINCIPAL in request:
        response.headers.setdefault("Cache-Control", "private, no-cache")
