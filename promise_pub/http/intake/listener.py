"""Listening for connections and serving an application on them."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack

from aiohttp import web

from promise_pub.addresses import http_url
from promise_pub.errors import CannotListen
from promise_pub.files import is_open_to_all
from promise_pub.http.intake.connection import Handshakes
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.ops.request_log import request_logger
from promise_pub.http.security import render_malformed_requests
from promise_pub.settings.model import ServerSettings

log = logging.getLogger(__name__)

READ_BUFFER = 256 * 1024  # bytes; twice as many of an upload may wait for the disk, or of a body for its request
BACKLOG = 512  # connections that wait to be accepted while the event loop is busy
# Connections accepted in one turn of the loop. The first bytes of these are read in the next turn; were there more, a
# flood would close the connections of others before anybody had read what they say.
ACCEPTED_AT_ONCE = 16
CLOSE_TIMEOUT = 1.0  # seconds for responses in progress once every run has ended


async def listen(stack: AsyncExitStack, app: web.Application, settings: ServerSettings) -> str:
    """Serves the application until the stack is closed, within the limits of the settings, and returns its URL.

    Raises CannotListen.
    """
    runner = web.AppRunner(
        app,
        access_log_class=request_logger(app),
        shutdown_timeout=CLOSE_TIMEOUT,
        read_bufsize=READ_BUFFER,
        max_line_size=settings.max_header,
        max_field_size=settings.max_header,
        max_headers=settings.max_headers,
        keepalive_timeout=settings.idle_timeout,
        # A megabyte can hold a gigabyte, and aiohttp reads on after a refusal; `limits` refuses such bodies.
        auto_decompress=False,
    )
    await runner.setup()
    render_malformed_requests(runner)
    stack.push_async_callback(runner.cleanup)
    tls = await asyncio.to_thread(_tls, settings)
    port = await _open(stack, runner, settings, tls)
    return http_url(settings.host, port, tls=tls is not None)


async def _open(
    stack: AsyncExitStack,
    runner: web.AppRunner,
    settings: ServerSettings,
    tls: ssl.SSLContext | None,
) -> int:
    """Listens and returns the port."""
    handshakes = None
    if tls:
        handshakes = Handshakes(tls, settings.header_timeout)
        stack.push_async_callback(handshakes.cancel)
    listening = await accept_connections(runner, settings.host, settings.port, handshakes)
    stack.callback(listening.close)
    return int(listening.sockets[0].getsockname()[1])


async def accept_connections(
    runner: web.AppRunner, host: str, port: int, handshakes: Handshakes | None = None
) -> asyncio.Server:
    """Listens with connections that are counted from their socket on, which aiohttp's own sites do not do.

    Raises CannotListen.
    """
    assert runner.server
    connections = runner.app[CONNECTIONS]
    connections.limit_to_files()
    try:
        listening = await asyncio.get_running_loop().create_server(
            connections.wrap(runner.server, handshakes), host, port, backlog=ACCEPTED_AT_ONCE
        )
    except OSError as error:
        raise CannotListen.at(host, port, error) from error
    try:
        for accepting in listening.sockets:
            # asyncio has one number for both; the kernel's may be changed later.
            with accepting.dup() as same:
                same.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen.at(host, port, error) from error
    return listening


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.ssl_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.ssl_certificate, settings.ssl_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotListen(f"The certificate {settings.ssl_certificate} cannot be used: {error}") from error
    if settings.ssl_key and is_open_to_all(settings.ssl_key):
        log.warning("Every user may read the key %s: chmod 600 it", settings.ssl_key)
    return context
