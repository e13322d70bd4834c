"""Admits calls: made by the consumer's own name, by no other site's page, and with the token where one is set.

Every call of the contract is a GET, and two of them change something. So here the rules hold for GET too, and for the
health check, which tells a publisher early that its token is wrong.
"""

from __future__ import annotations

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from promise_pub.errors import ConfigurationError, CrossSite, TokenRefused, WrongHost
from promise_pub.http.intake.connection import Standing
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.security import Exposure, answers_to, is_from_elsewhere, listens_on_loopback, reached_at
from promise_pub.settings.model import ConsumerSettings


async def resolve_exposure(settings: ConsumerSettings) -> Exposure:
    """Returns how a consumer with these settings is reached. Beyond loopback it has a token, and may have any name.

    Raises ConfigurationError if others could use it without a token, CannotListen if its host cannot be resolved.
    """
    if await listens_on_loopback(settings.host):
        return Exposure(hosts=frozenset({settings.host.lower()}))
    if not settings.token:
        problem = f"[consumer] token: must be set where host is no loopback address: others reach {settings.host}"
        raise ConfigurationError([problem])
    return Exposure(loopback=False)


def admit(exposure: Exposure, token: str) -> Middleware:
    """Makes the middleware that raises WrongHost, CrossSite or TokenRefused, before anything is done.

    The connection of a call that is admitted makes room for no other. Raises ServerBusy where there is no place for it.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if not answers_to(host, exposure, reached_at(request)):
            raise WrongHost(f"The consumer does not answer to {host[:100]!r}. Call it by its [consumer] host.")
        if is_from_elsewhere(request.headers):
            raise CrossSite
        if token and not _carries(request, token):
            raise TokenRefused(
                "The consumer takes no call without its token: set [consumer] token where the call comes from."
            )
        request.app[CONNECTIONS].recognise(request, Standing.OPERATOR)
        return await handler(request)

    return check


def _carries(request: web.Request, token: str) -> bool:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    sent_bytes = sent.strip().encode("utf-8", "surrogateescape")
    return scheme.lower() == "bearer" and secrets.compare_digest(sent_bytes, token.encode())
