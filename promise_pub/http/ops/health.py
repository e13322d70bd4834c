"""`/healthz`: the server answers. `/readyz`: the services it needs are available."""

from __future__ import annotations

import asyncio

from aiohttp import web

from promise_pub.http.keys import FOREIGN_HOST, PROBES
from promise_pub.http.ops.service_checks import check_service
from promise_pub.http.responses import as_json

PROBE_TIMEOUT = 8.0  # seconds for the slowest service to answer: every page answers within ten

routes = web.RouteTableDef()


@routes.get("/healthz")
async def show_alive(request: web.Request) -> web.Response:
    """The server answers."""
    return as_json({"alive": True})


@routes.get("/readyz")
async def show_ready(request: web.Request) -> web.Response:
    """The state of broker, database, consumer and uploads folder, each by name, with what is wrong with it.

    What is wrong may contain addresses and user names. A page that has rebound its own host name to this server's
    address can read the answer where nobody logs in, but it sends its own name as Host; under a foreign name
    the answer is true or false only, which is all that a load balancer needs.
    """
    probes = request.app[PROBES]
    problems = await asyncio.gather(*(check_service(name, probe, PROBE_TIMEOUT) for name, probe in probes.items()))
    services: dict[str, dict[str, bool | str]] = {}
    for name, problem in zip(probes, problems, strict=True):
        services[name] = {"ready": problem is None}
        if problem and FOREIGN_HOST not in request:
            services[name]["error"] = problem
    all_ready = not any(problems)
    return as_json({"ready": all_ready, **services}, 200 if all_ready else 503)
