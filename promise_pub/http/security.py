"""What every request and every answer has to do with, whoever asks: hosts, other sites, headers."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.addresses import Network
from promise_pub.errors import CannotListen, ConfigurationError, CrossSite, WrongHost
from promise_pub.http.keys import FOREIGN_HOST
from promise_pub.http.problems import put_into_problem
from promise_pub.http.request_log import add_request_id
from promise_pub.settings.model import ServerSettings

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Over plain HTTP from elsewhere, browsers send no Sec-Fetch-Site, and with no-referrer the Origin of our own
# forms would be "null", as another site's may be. No other origin learns anything from this one either.
_PLAIN_HTTP: Mapping[str, str] = {"Referrer-Policy": "same-origin"}
_TLS: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}  # seconds: a year

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})  # as the routes are named
LOOKUP_TIMEOUT = 10.0  # seconds for the name of our own host

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the server is reached: from this machine only, by which names besides its addresses, over TLS, through whom."""

    loopback: bool = True
    hosts: frozenset[str] = frozenset()
    tls: bool = False
    trusted_proxies: tuple[Network, ...] = ()


LOOPBACK = Exposure()
EXPOSURE = web.AppKey("exposure", Exposure)


async def resolve_exposure(settings: ServerSettings) -> Exposure:
    """The exposure these settings open.

    Raises ConfigurationError when others could come in without a login, CannotListen for a host nobody knows.
    """
    addresses = await _addresses(settings.host)
    loopback = all(_is_loopback(address) for address in addresses)
    if not loopback and settings.auth == "off":
        raise ConfigurationError(
            [f"[server] auth: must be users where host is no loopback address: others reach {settings.host}"]
        )
    tls = settings.ssl_certificate is not None
    return Exposure(loopback, frozenset(settings.hosts), tls, settings.trusted_proxies)


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
    """Raises WrongHost where a name was bent to this address, CrossSite where another site's page acts.

    Health checks are answered by any name: they say nothing to a page that it could not see from whether the server
    answers at all, and `health` keeps from it what failed.
    """
    host = request.headers.get("Host", "")
    if not answers_to(host, request.app[EXPOSURE], _reached_at(request)):
        if _is_health_check(request):
            request[FOREIGN_HOST] = True
            return await handler(request)
        raise WrongHost(f"The server does not answer to {host[:100]!r}: where it should, [server] hosts names it.")
    if is_cross_site(request.method, request.headers):
        raise CrossSite
    return await handler(request)


def _is_health_check(request: web.Request) -> bool:
    """Whether a load balancer may ask so: by whatever name it has for the server, or in HTTP/1.0 by none."""
    resource = request.match_info.route.resource
    asked = resource is not None and resource.canonical in HEALTH_CHECKS
    return asked and request.method in SAFE_METHODS


def _reached_at(request: web.Request) -> str:
    """The address of ours that this connection came to."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if name else ""


def answers_to(host: str, exposure: Exposure, reached_at: str) -> bool:
    """Whether a `Host` is ours. A page that rebinds its own name to our address sends its own name still."""
    match = _HOST.fullmatch(host.lower())
    name = match[1] if match else ""
    if name in exposure.hosts:
        return True
    if exposure.loopback:
        return name == "localhost" or _is_loopback(name)
    address = _address(name)
    return not exposure.hosts or (address is not None and address == _address(reached_at))


def is_cross_site(method: str, headers: Mapping[str, str]) -> bool:
    """Whether another site's page asks for more than to look, by the rules of Go's CrossOriginProtection.

    Browsers tell by `Sec-Fetch-Site`, old ones by `Origin`. Who sends neither is no browser, and has no
    user's rights to abuse.
    """
    if method in SAFE_METHODS:
        return False
    site, origin = headers.get("Sec-Fetch-Site", ""), headers.get("Origin", "")
    if site:
        return site not in ("same-origin", "none")
    return bool(origin) and _authority(origin) != headers.get("Host", "").lower()


def _authority(origin: str) -> str:
    """`host:port`, the port left out where the origin leaves it out, as `Host` has it."""
    return origin.lower().partition("://")[2]


def headers_of(exposure: Exposure) -> Mapping[str, str]:
    """The headers that keep browsers within bounds."""
    plain = {} if exposure.tls or exposure.loopback else _PLAIN_HTTP
    return {**HEADERS, **plain, **(_TLS if exposure.tls else {})}


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Gives an answer those headers that it does not have yet."""
    _add(headers_of(request.app[EXPOSURE]), response)


def render_malformed_requests(runner: web.AppRunner) -> None:
    """Has the answers to what is no HTTP carry them too, and be problem details as all others.

    aiohttp makes these itself, and sends no signal.
    """
    headers = headers_of(runner.app[EXPOSURE])

    class Request(web.Request):
        async def _prepare_hook(self, response: web.StreamResponse) -> None:
            passed_nobody = self._match_info is None or isinstance(response, web.HTTPError)
            if passed_nobody and isinstance(response, web.Response):
                # The length was noted, twice, before the hook was called.
                self.writer.length = length = put_into_problem(response)
                response.headers["Content-Length"] = str(length)
            await super()._prepare_hook(response)
            _add(headers, response)
            await add_request_id(self, response)

    assert runner.server
    runner.server.request_factory = partial(runner.app._make_request, _cls=Request)


def _add(headers: Mapping[str, str], response: web.StreamResponse) -> None:
    for name, value in headers.items():
        response.headers.setdefault(name, value)
