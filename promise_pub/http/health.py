"""Whether the server lives, and whether what it needs is there."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from promise_pub.errors import PromisePubError
from promise_pub.http.keys import FOREIGN_HOST, PROBES, Probe
from promise_pub.http.negotiation import as_json

log = logging.getLogger(__name__)

PROBE_TIMEOUT = 12.0  # seconds for the slowest service to say whether it is there

routes = web.RouteTableDef()


@routes.get("/healthz")
async def alive(request: web.Request) -> web.Response:
    """The server answers."""
    return as_json({"alive": True})


@routes.get("/readyz")
async def ready(request: web.Request) -> web.Response:
    """Whether broker, database, consumer and the folder of uploads are there, each by name, and what is wrong with it.

    What is wrong may hold addresses and names of users. A page that has bent its own name to this server's address
    can read the answer where nobody logs in; it sends its own name as Host, so under a foreign one nothing is
    told but true or false. A load balancer needs no more.
    """
    probes, told = request.app[PROBES], FOREIGN_HOST not in request
    troubles = await asyncio.gather(*(_trouble(*named) for named in probes.items()))
    services = {
        name: {"ready": trouble is None, **({"error": trouble} if trouble and told else {})}
        for name, trouble in zip(probes, troubles, strict=True)
    }
    whole = all(service["ready"] for service in services.values())
    return as_json({"ready": whole, **services}, 200 if whole else 503)


async def _trouble(name: str, probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await probe()
    except PromisePubError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT:g} s"
    except Exception:
        log.exception("Whether the %s is there cannot be told, for a reason nobody foresaw", name)
        return "The server failed; its log says how."
    return None
