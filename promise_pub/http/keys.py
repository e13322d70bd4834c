"""Keys of the application and of requests that several parts of the server share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.people import Principal
from promise_pub.errors import NotAllowed

Probe = Callable[[], Awaitable[None]]
"""Checks one service; raises a PromisePubError when it is unavailable."""

PROBES: web.AppKey[Mapping[str, Probe]] = web.AppKey("probes", Mapping[str, Probe])


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page that every other page links to; `operators_only` hides it from those who may only view."""

    url: str
    title: str
    operators_only: bool = False


NAV: web.AppKey[Sequence[NavItem]] = web.AppKey("nav", Sequence[NavItem])

# Absent where nobody has to log in.
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
# Who sent the request; absent until that is known.
PRINCIPAL = web.RequestKey("principal", Principal)
# Set when the response depends on the `Accept` header.
NEGOTIATED = web.RequestKey("negotiated", bool)
# Set when a health check was sent to a host name that is not the server's, or to none.
FOREIGN_HOST = web.RequestKey("foreign_host", bool)
# The format of errors, HTML or JSON, where the client chose one otherwise than by ?format= or `Accept`.
ERROR_FORMAT = web.RequestKey("error_format", str)
# Set when the response is a page for people.
IS_PAGE = web.RequestKey("is_page", bool)
# The template of the path; absent where no route matches.
ROUTE = web.RequestKey("route", str)
# The code of the error that was answered, for the request log.
CODE = web.RequestKey("code", str)


def name_of_principal(request: web.Request) -> str | None:
    """Returns the name of the user, or of the token, that sent the request; None where nobody logs in."""
    principal = request.get(PRINCIPAL)
    return principal.name if principal else None


def is_known(request: web.Request) -> bool:
    """Tells whether the sender has logged in. Everybody counts as known where nobody logs in."""
    return AUTHENTICATOR not in request.app or PRINCIPAL in request


def may_operate(request: web.Request) -> bool:
    """Tells whether the sender may do more than view. Everybody may where nobody logs in."""
    if AUTHENTICATOR not in request.app:
        return True
    principal = request.get(PRINCIPAL)
    return principal is not None and principal.may_operate


def require_operator(request: web.Request) -> None:
    """Raises NotAllowed for viewers, who may see runs, but not who else uses the server, nor what it tells of everything."""
    if not may_operate(request):
        raise NotAllowed
