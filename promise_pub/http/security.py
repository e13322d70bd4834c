"""Checks of every request against other hosts and other sites, and security headers of every response."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.addresses import Network
from promise_pub.errors import CannotListen, ConfigurationError, CrossSite, WrongHost
from promise_pub.http.aiohttp_internals import on_response_before_application
from promise_pub.http.intake.client_address import is_encrypted_at_proxy
from promise_pub.http.intake.pace import PACE
from promise_pub.http.keys import FOREIGN_HOST
from promise_pub.http.ops.request_log import add_request_id
from promise_pub.http.problems import render_malformed
from promise_pub.settings.model import ServerSettings

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Over plain HTTP from elsewhere browsers send no Sec-Fetch-Site, and with no-referrer the Origin of our own
# forms would be "null", as another site's may be. With same-origin, other origins learn nothing either.
_PLAIN_HTTP: Mapping[str, str] = {"Referrer-Policy": "same-origin"}
_TLS: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}  # seconds: a year

SERVER = "promise-pub"  # in place of the versions of aiohttp and Python, which aiohttp names

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})  # as the routes are named
LOOKUP_TIMEOUT = 10.0  # seconds for the name of our own host

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Exposure:
    """The ways to reach the server: from this machine only, by which host names, over TLS, through which proxies."""

    loopback: bool = True
    hosts: frozenset[str] = frozenset()
    tls: bool = False
    trusted_proxies: tuple[Network, ...] = ()


LOOPBACK = Exposure()
EXPOSURE = web.AppKey("exposure", Exposure)


async def resolve_exposure(settings: ServerSettings) -> Exposure:
    """Returns how a server with these settings is reached.

    Raises ConfigurationError if others could use it without a login, CannotListen if its host cannot be resolved.
    """
    loopback = await listens_on_loopback(settings.host)
    if not loopback and settings.auth == "off":
        raise ConfigurationError(
            [f"[server] auth: must be users where host is no loopback address: others reach {settings.host}"]
        )
    tls = settings.ssl_certificate is not None
    return Exposure(loopback, frozenset(settings.hosts), tls, settings.trusted_proxies)


async def listens_on_loopback(host: str) -> bool:
    """Tells whether a server that listens on this host is reached from this machine only. Raises CannotListen."""
    return all(_is_loopback(address) for address in await _addresses(host))


async def _addresses(host: str) -> set[str]:
    resolve = asyncio.get_running_loop().getaddrinfo
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            found = await resolve(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(f"Cannot listen on {host}: {error}") from error
    return {str(address[0]) for *_, address in found}


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


@web.middleware
async def check_host_and_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises WrongHost for a host name that was rebound to this address, CrossSite for another site's unsafe request.

    Health checks are answered under any name: to a page they tell no more than that the server answers, since
    `health` leaves out what failed.
    """
    host = request.headers.get("Host", "")
    if not answers_to(host, request.app[EXPOSURE], reached_at(request)):
        if _is_health_check(request):
            request[FOREIGN_HOST] = True
            return await handler(request)
        await request.app[PACE].take_turn(request)
        raise WrongHost(f"The server does not answer to {host[:100]!r}. If it should, add the name to [server] hosts.")
    if is_cross_site(request.method, request.headers):
        await request.app[PACE].take_turn(request)
        raise CrossSite
    return await handler(request)


def _is_health_check(request: web.Request) -> bool:
    """Tells a health check, which a load balancer may send under any host name, or in HTTP/1.0 under none."""
    resource = request.match_info.route.resource
    asked = resource is not None and resource.canonical in HEALTH_CHECKS
    return asked and request.method in SAFE_METHODS


def reached_at(request: web.Request) -> str:
    """Returns the server's own address that the connection was made to."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if name else ""


def answers_to(host: str, exposure: Exposure, reached_at: str) -> bool:
    """Tells whether `host` is the server's. A page that rebinds its name to our address still sends its own name."""
    match = _HOST.fullmatch(host.lower())
    name = match[1] if match else ""
    if name in exposure.hosts:
        return True
    if exposure.loopback:
        return name == "localhost" or _is_loopback(name)
    address = _address(name)
    return not exposure.hosts or (address is not None and address == _address(reached_at))


def is_cross_site(method: str, headers: Mapping[str, str]) -> bool:
    """Tells whether another site's page sent an unsafe request, by the rules of Go's CrossOriginProtection.

    Browsers tell by `Sec-Fetch-Site`, old ones by `Origin`. A client that sends neither is no browser, and has
    no user's rights to abuse.
    """
    return method not in SAFE_METHODS and is_from_elsewhere(headers)


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Tells whether another site's page sent a request, whatever its method."""
    site, origin = headers.get("Sec-Fetch-Site", ""), headers.get("Origin", "")
    if site:
        return site not in ("same-origin", "none")
    return bool(origin) and origin.lower().partition("://")[2] != headers.get("Host", "").lower()


def is_encrypted(request: web.Request) -> bool:
    """Tells whether the client uses HTTPS, to this server or to a trusted proxy before it."""
    return request.app[EXPOSURE].tls or is_encrypted_at_proxy(request)


def origin_of(request: web.Request) -> str:
    """Returns the server's own address as the client knows it, as in `https://promise.example`."""
    return str(request.url.with_scheme("https" if is_encrypted(request) else "http").origin())


def headers_of(exposure: Exposure, *, encrypted: bool | None = None) -> Mapping[str, str]:
    """Returns the security headers for a client of a server that is reached like this; `encrypted` tells how it came."""
    encrypted = exposure.tls if encrypted is None else encrypted
    plain = {} if encrypted or exposure.loopback else _PLAIN_HTTP
    return {**HEADERS, **plain, **(_TLS if encrypted else {})}


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the security headers that a response does not have yet; an `on_response_prepare` signal."""
    for name, value in headers_of(request.app[EXPOSURE], encrypted=is_encrypted(request)).items():
        response.headers.setdefault(name, value)


def render_malformed_requests(runner: web.AppRunner) -> None:
    """Gives responses to malformed requests the same headers, and a body of problem details; all responses SERVER."""
    headers = headers_of(runner.app[EXPOSURE])

    async def finish(request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers["Server"] = SERVER
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        await add_request_id(request, response)

    on_response_before_application(runner, render_malformed, finish)
