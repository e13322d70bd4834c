"""The consumer's HTTP interface: five GET requests, and the complaints that publishers know.

A complaint about the request has status 200 and plain text, as from other consumers. 503 means that the broker or the
database is away, that the consumer is stopping, or that too many sessions are open; 401, 403 and 421 refuse who calls.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.addresses import http_url
from promise_pub.concurrency import background
from promise_pub.consumer.admission import admit, resolve_exposure
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.saver import NEEDS, OUTAGE, Saver
from promise_pub.consumer.sessions import ConsumerSessions
from promise_pub.db import open_pool
from promise_pub.db_checks import require_needs, require_usable
from promise_pub.errors import (
    AccessError,
    BadParameter,
    BrokerError,
    CrossSite,
    DatabaseError,
    ServerBusy,
    TokenRefused,
    WrongHost,
)
from promise_pub.http.aiohttp_internals import on_response_before_application
from promise_pub.http.intake.client_address import TRUSTED_PROXIES
from promise_pub.http.intake.connections import CONNECTIONS, Connections, track_request
from promise_pub.http.intake.limits import DEFAULT_LIMITS
from promise_pub.http.intake.listener import accept_connections
from promise_pub.http.security import LOOPBACK, SERVER, Exposure
from promise_pub.parameters import Mode
from promise_pub.resources import log_refused_connections
from promise_pub.retries import Backoff
from promise_pub.settings.model import Settings

MAX_TIMEOUT = 24 * 3600  # seconds; our publisher asks for an hour at most
MAX_SENT = 10**15  # rows
SHUTDOWN_TIMEOUT = 2.0  # seconds to finish answers once the sessions are stopped

_REFUSALS: Mapping[type[AccessError], int] = {TokenRefused: 401, CrossSite: 403, WrongHost: 421}

_SESSIONS = web.AppKey("sessions", ConsumerSessions)


def make_app(settings: Settings, backoff: Backoff = OUTAGE, exposure: Exposure = LOOPBACK) -> web.Application:
    """Returns the consumer. Its start raises BrokerError or DatabaseError when either cannot be used."""
    consumer = settings.consumer
    app = web.Application(middlewares=[track_request, _complain, admit(exposure, consumer.token)])
    connections = Connections(DEFAULT_LIMITS, {})
    app[CONNECTIONS], app[TRUSTED_PROXIES] = connections, ()
    app.router.add_get(consumer.healthcheck_url, health)
    app.router.add_get(consumer.create_url, create)
    app.router.add_get(consumer.process_url, process)
    app.router.add_get(consumer.remove_url, remove)
    app.router.add_get(consumer.getsession_url, get_session)
    app.on_response_prepare.append(_close)
    app.cleanup_ctx.append(connections.sweeping)
    app.cleanup_ctx.append(_services(settings, backoff))
    app.on_shutdown.append(_stop_sessions)
    return app


async def serve(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Runs the consumer until it is cancelled or told to stop by SIGTERM or SIGINT.

    Calls `on_ready` with its URL once it listens. Raises ConfigurationError, BrokerError, DatabaseError or CannotListen.
    """
    exposure = await resolve_exposure(settings.consumer)
    # No call has a body: nothing that comes as one is unpacked or waited for.
    runner = web.AppRunner(
        make_app(settings, exposure=exposure),
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        auto_decompress=False,
        lingering_time=0,
    )
    stop = asyncio.Event()
    with _signals(stop), log_refused_connections():
        try:
            await runner.setup()
            on_response_before_application(runner, _same_body, _hide_versions)
            listening = await accept_connections(runner, settings.consumer.host, settings.consumer.port)
            try:
                on_ready(http_url(settings.consumer.host, listening.sockets[0].getsockname()[1]))
                await stop.wait()
            finally:
                listening.close()
        finally:
            await runner.cleanup()


async def _hide_versions(_: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


def _same_body(response: web.Response) -> bytes:
    return (response.text or "").encode()


async def health(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def create(request: web.Request) -> web.Response:
    session = await request.app[_SESSIONS].create()
    return web.json_response(session.as_json())


async def process(request: web.Request) -> web.Response:
    """Answers `OK`: at once in live mode, at the end in batch mode, or there `ERROR` and the reason of an early end."""
    uuid = _required(request, "uuid")
    timeout = _number(request, "timeout", MAX_TIMEOUT)
    if timeout is None:
        raise BadParameter("Please supply a timeout")
    mode = _required(request, "mode")
    if mode not in set(Mode):
        raise BadParameter("mode must be live or batch")
    ending = request.app[_SESSIONS].process(uuid, timeout, _number(request, "sent", MAX_SENT))
    if mode == Mode.LIVE:
        ending.close()
    else:
        try:
            await ending
        except (BrokerError, DatabaseError) as error:
            return web.Response(text=f"ERROR: {error.message}")
    return web.Response(text="OK")


async def remove(request: web.Request) -> web.Response:
    uuid, sent = _required(request, "uuid"), _number(request, "sent", MAX_SENT)
    try:
        session = await request.app[_SESSIONS].remove(uuid, sent)
    except BadParameter:
        # The one word that publishers expect here.
        return web.Response(text="ERROR")
    return web.json_response(session.as_json())


async def get_session(request: web.Request) -> web.Response:
    return web.json_response(request.app[_SESSIONS].get(_required(request, "uuid")).as_json())


@web.middleware
async def _complain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadParameter as error:
        return web.Response(text=error.message)
    except AccessError as error:
        return web.Response(text=error.message, status=_REFUSALS[type(error)])
    except (BrokerError, DatabaseError, ServerBusy) as error:
        return web.Response(text=error.message, status=503)


async def _close(_: web.Request, response: web.StreamResponse) -> None:
    """Ends the connection with its first answer: publishers call seldom; an `on_response_prepare` signal."""
    response.headers["Connection"] = "close"
    response.force_close()


def _required(request: web.Request, name: str) -> str:
    value = request.query.get(name)
    if not value:
        raise BadParameter(f"Please supply a {name}")
    return value


def _number(request: web.Request, name: str, highest: int) -> int | None:
    value = request.query.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) <= highest):
        raise BadParameter(f"{name} must be a whole number from 0 to {highest}")
    return int(value)


def _services(settings: Settings, backoff: Backoff) -> Callable[[web.Application], AsyncIterator[None]]:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        async with open_pool(settings.database, max_size=4) as pool:
            broker, saver = Broker(settings.rabbit), Saver(pool, backoff)
            await require_usable(pool)
            await require_needs(pool, NEEDS)
            await broker.check()
            app[_SESSIONS] = sessions = ConsumerSessions(broker, saver, backoff)
            try:
                async with background(sessions.sweep()):
                    yield
            finally:
                await sessions.stop()

    return opened


async def _stop_sessions(app: web.Application) -> None:
    """Stops the sessions before the server waits for its answers, which may wait for sessions."""
    await app[_SESSIONS].stop()


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
