"""What handlers find in the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.people import Principal
from promise_pub.delivery.input.dry_run import DryRuns
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.settings.model import RabbitSettings

Probe = Callable[[], Awaitable[None]]
"""Asks one service whether it is there; raises a PromisePubError when it is not."""

RUNS = web.AppKey("runs", Runs)
LEDGER = web.AppKey("ledger", Ledger)
DRY_RUNS = web.AppKey("dry_runs", DryRuns)
PROBES: web.AppKey[Mapping[str, Probe]] = web.AppKey("probes", Mapping[str, Probe])

BROKER = web.AppKey("broker", RabbitSettings)
"""Where messages go; of no use to handlers but to tell it."""

AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
"""Only there where users log in."""
PRINCIPAL = web.RequestKey("principal", Principal)
"""Who sent the request, once that is known."""
NEGOTIATED = web.RequestKey("negotiated", bool)
"""There where the answer depends on `Accept`."""

FOREIGN_HOST = web.RequestKey("foreign_host", bool)
"""There where a health check was sent to a name that is not the server's, or to none."""

SHOWN = web.RequestKey("shown", bool)
"""There where the answer is a page for people."""

ROUTE = web.RequestKey("route", str)
"""The template of the path, where there is one."""
CODE = web.RequestKey("code", str)
"""The code of the error that was the answer, for the log."""


def may_operate(request: web.Request) -> bool:
    """Whether whoever sent the request may do more than look: everybody, where nobody logs in."""
    if AUTHENTICATOR not in request.app:
        return True
    principal = request.get(PRINCIPAL)
    return principal is not None and principal.may_operate
