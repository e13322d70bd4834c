"""The composition root: opens everything in order, and closes it in reverse."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from promise_pub import addresses
from promise_pub.accounts.store import open_guard
from promise_pub.config import ServerSettings, Settings
from promise_pub.db import open_pool
from promise_pub.delivery import rabbit
from promise_pub.delivery.claim import Claim
from promise_pub.delivery.client import open_consumer
from promise_pub.delivery.ledger import Ledger
from promise_pub.delivery.runs import Runs
from promise_pub.delivery.uploads import Uploads
from promise_pub.errors import CannotListen, PromisePubError
from promise_pub.listening import allow_many_files, telling_of_refused_connections
from promise_pub.web.keys import Probe
from promise_pub.web.security import add_headers_to_broken_requests, look_around
from promise_pub.web.server import make_app

log = logging.getLogger(__name__)

READ_BUFFER = 512 * 1024  # bytes of an upload that may wait for the disk, a connection
CLOSE_TIMEOUT = 1.0  # seconds for answers under way once every run has ended


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """The web server, listening; its URL. The block's end stops it in an orderly way, within 10 seconds.

    Raises ConfigurationError, DatabaseError, SchemaMissing, StoredFileError or CannotListen when it cannot start.
    """
    doors = await look_around(settings.server)
    allow_many_files()
    async with AsyncExitStack() as stack:
        stack.enter_context(telling_of_refused_connections())
        uploads = Uploads(
            settings.server.uploads, settings.server.max_upload, settings.server.keep_uploads
        )
        uploads.prepare()
        pool = await stack.enter_async_context(open_pool(settings.database))
        await Ledger(pool).check()
        claim = await stack.enter_async_context(Claim(pool))
        ledger = Ledger(pool, claim)
        left_over = await ledger.take_over()
        consumer = await stack.enter_async_context(open_consumer(settings.consumer))
        open_publisher = partial(rabbit.open_publisher, settings.rabbit)
        runs = Runs(ledger, consumer, open_publisher, uploads, settings.server.max_waiting)
        await stack.enter_async_context(runs)
        probes: dict[str, Probe] = {
            "broker": partial(rabbit.probe, settings.rabbit),
            "database": ledger.check,
            "consumer": consumer.healthcheck,
        }
        if settings.server.on_restart == "resume":
            await _resume(runs, left_over)
        users = settings.server.auth == "users"
        guard = await open_guard(pool, settings.server.login_hours) if users else None
        app = make_app(runs, ledger, probes, settings.rabbit, doors=doors, guard=guard)
        url = await _listen(stack, app, settings.server)
        # Runs end while the server still listens: those who wait for them get their answer.
        stack.push_async_callback(runs.stop)
        yield url


async def _resume(runs: Runs, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        try:
            await runs.resume(run_id)
        except PromisePubError as error:
            log.warning("Run %s stays interrupted: %s", run_id, error.message)


async def _listen(stack: AsyncExitStack, app: web.Application, settings: ServerSettings) -> str:
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT, read_bufsize=READ_BUFFER
    )
    await runner.setup()
    add_headers_to_broken_requests(runner)
    stack.push_async_callback(runner.cleanup)
    tls = await asyncio.to_thread(_tls, settings)
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=tls).start()
    except OSError as error:
        raise CannotListen.at(settings.host, settings.port, error) from error
    port = runner.addresses[0][1]
    return addresses.url(settings.host, port, tls=tls is not None)


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.ssl_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.ssl_certificate, settings.ssl_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotListen(
            f"The certificate {settings.ssl_certificate} cannot be used: {error}"
        ) from error
    return context
