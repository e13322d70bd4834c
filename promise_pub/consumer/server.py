"""The consumer's face: five GET requests, and the complaints old publishers know.

A complaint about what was asked has status 200 and plain text, as field consumers do it; 503 says that the broker or
the database is away, or that the consumer is stopping.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.addresses import url
from promise_pub.consumer.broker import Broker
from promise_pub.consumer.saver import NEEDS, Saver
from promise_pub.consumer.sessions import Sessions
from promise_pub.db import open_pool
from promise_pub.db_checks import require_needs, require_usable
from promise_pub.errors import (
    BadParameter,
    BrokerError,
    CannotListen,
    DatabaseError,
    ServerStopping,
)
from promise_pub.parameters import Mode
from promise_pub.resources import allow_many_files, telling_of_refused_connections
from promise_pub.settings.model import Settings

LONGEST_TIMEOUT = 24 * 3600  # seconds; our publisher asks for an hour at most
MOST_SENT = 10**15
SHUTDOWN_TIMEOUT = 2.0  # seconds for answers under way once the sessions are stopped

_SESSIONS = web.AppKey("sessions", Sessions)


class ProcessQuery(NamedTuple):
    """What `/process/` is asked."""

    uuid: str
    timeout: int
    mode: Mode
    sent: int | None


def make_app(settings: Settings) -> web.Application:
    """The consumer. Starting it raises BrokerError or DatabaseError when either cannot be used."""
    consumer = settings.consumer
    app = web.Application(middlewares=[_complain])
    app.router.add_get(consumer.healthcheck_url, health)
    app.router.add_get(consumer.create_url, create)
    app.router.add_get(consumer.process_url, process)
    app.router.add_get(consumer.remove_url, remove)
    app.router.add_get(consumer.getsession_url, get_session)
    app.cleanup_ctx.append(_services(settings))
    app.on_shutdown.append(_stop_sessions)
    return app


async def serve(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Runs the consumer until it is cancelled or told to stop by SIGTERM or SIGINT.

    `on_ready` gets its URL once it listens. Raises BrokerError, DatabaseError or CannotListen.
    """
    allow_many_files()
    runner = web.AppRunner(make_app(settings), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    stop = asyncio.Event()
    with _signals(stop), telling_of_refused_connections():
        try:
            await runner.setup()
            await _listen(runner, settings.consumer.host, settings.consumer.port)
            on_ready(url(settings.consumer.host, runner.addresses[0][1]))
            await stop.wait()
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise CannotListen.at(host, port, error) from error


async def health(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def create(request: web.Request) -> web.Response:
    session = await request.app[_SESSIONS].create()
    return web.json_response(session.as_json())


async def process(request: web.Request) -> web.Response:
    """`OK` at once in live mode, at the end in batch mode; there `ERROR` and why when it ended before its time."""
    query = _process_query(request)
    ending = request.app[_SESSIONS].process(query.uuid, query.timeout, query.sent)
    if query.mode is Mode.LIVE:
        ending.close()
    else:
        try:
            await ending
        except (BrokerError, DatabaseError) as error:
            return web.Response(text=f"ERROR: {error.message}")
    return web.Response(text="OK")


async def remove(request: web.Request) -> web.Response:
    uuid, sent = _required(request, "uuid"), _number(request, "sent", MOST_SENT)
    try:
        session = await request.app[_SESSIONS].remove(uuid, sent)
    except BadParameter:
        return web.Response(text="ERROR")  # the one word publishers expect here
    return web.json_response(session.as_json())


async def get_session(request: web.Request) -> web.Response:
    return web.json_response(request.app[_SESSIONS].get(_required(request, "uuid")).as_json())


@web.middleware
async def _complain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadParameter as error:
        return web.Response(text=error.message)
    except (BrokerError, DatabaseError, ServerStopping) as error:
        return web.Response(text=error.message, status=503)


def _process_query(request: web.Request) -> ProcessQuery:
    uuid = _required(request, "uuid")
    timeout = _number(request, "timeout", LONGEST_TIMEOUT)
    if timeout is None:
        raise BadParameter("Please supply a timeout")
    mode = _required(request, "mode")
    if mode not in set(Mode):
        raise BadParameter("mode must be live or batch")
    return ProcessQuery(uuid, timeout, Mode(mode), _number(request, "sent", MOST_SENT))


def _required(request: web.Request, name: str) -> str:
    value = request.query.get(name)
    if not value:
        raise BadParameter(f"Please supply a {name}")
    return value


def _number(request: web.Request, name: str, most: int) -> int | None:
    value = request.query.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) <= most):
        raise BadParameter(f"{name} must be a whole number from 0 to {most}")
    return int(value)


def _services(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    async def opened(app: web.Application) -> AsyncIterator[None]:
        async with open_pool(settings.database, max_size=4) as pool:
            broker, saver = Broker(settings.rabbit), Saver(pool)
            await require_usable(pool)
            await require_needs(pool, NEEDS)
            await broker.check()
            app[_SESSIONS] = sessions = Sessions(broker, saver)
            async with _running(sessions):
                yield

    return opened


@asynccontextmanager
async def _running(sessions: Sessions) -> AsyncIterator[None]:
    janitor = asyncio.create_task(sessions.look_after())
    try:
        yield
    finally:
        janitor.cancel()
        with suppress(asyncio.CancelledError):
            await janitor
        await sessions.stop()


async def _stop_sessions(app: web.Application) -> None:
    """Before the server waits for answers under way: they wait for sessions."""
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
