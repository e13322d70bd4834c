"""What handlers find in the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from promise_pub.delivery.ledger import Ledger
from promise_pub.delivery.runs import Runs

Probe = Callable[[], Awaitable[None]]
"""Asks one service whether it is there; raises a PromisePubError when it is not."""

RUNS = web.AppKey("runs", Runs)
LEDGER = web.AppKey("ledger", Ledger)
PROBES: web.AppKey[Mapping[str, Probe]] = web.AppKey("probes", Mapping[str, Probe])
