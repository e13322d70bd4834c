"""Connections: counted, and closed when they only take up room.

aiohttp itself closes a connection that has been idle for too long. It does not count connections, nor mind a
header that arrives a byte at a time, nor a response that is never read and stays in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.concurrency import background
from promise_pub.errors import ServerBusy
from promise_pub.http.intake.limits import Limits
from promise_pub.http.problems import problem
from promise_pub.logs import fields
from promise_pub.resources import allow_many_files

log = logging.getLogger(__name__)

SWEEP_INTERVAL = 1.0  # seconds between checks of all connections
READ_PERIOD = 30.0  # seconds in which a client must read some of a response that waits for it
MIN_READ = 30 * 1024  # bytes per READ_PERIOD; what the slowest useful network carries
OTHER_FILES = 128  # files and sockets that the process may need besides: database, broker, uploads
REFUSED, EVICTED, LATE, UNREAD = "refused", "idle", "header", "unread"

CLOSE_REASONS = {
    REFUSED: "the limit is reached, and none is idle",
    EVICTED: "it was idle longest, and a new one needed room",
    LATE: "the header of a request did not arrive in time",
    UNREAD: "the response was not read",
}


class Connections:
    """The connections of one server. `closed` counts those that were closed here, by reason."""

    def __init__(self, limits: Limits, headers: Mapping[str, str]) -> None:
        self._limit = limits.connections
        self._header_timeout = limits.header_timeout
        self._refusal = _refusal(headers)
        self._all: set[WatchedConnection] = set()
        self._idle: dict[WatchedConnection, None] = {}  # ordered: the longest idle first
        self._of: dict[asyncio.BaseProtocol, WatchedConnection] = {}
        self.closed = Counter(dict.fromkeys(CLOSE_REASONS, 0))

    def __len__(self) -> int:
        return len(self._all)

    def limit_to_files(self) -> None:
        """Lowers the limit to what the process may open in files, and logs that."""
        available = allow_many_files() - OTHER_FILES
        if available < self._limit:
            self._limit = max(1, available)
            log.warning("Fewer connections than configured", extra=fields(most=self._limit))

    def wrap(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Returns a protocol factory around aiohttp's own."""
        return lambda: WatchedConnection(self, make)

    def admit(self, connection: WatchedConnection) -> bool:
        """Adds a connection, closing an idle one if needed; returns False if there is no room, and answers that."""
        if len(self._all) >= self._limit:
            if not self._idle:
                self._count_closed(REFUSED)
                connection.transport.write(self._refusal)
                connection.transport.close()
                return False
            self.abort(next(iter(self._idle)), EVICTED)
        self._all.add(connection)
        self._idle[connection] = None
        self._of[connection.inner] = connection
        return True

    def abort(self, connection: WatchedConnection, reason: str) -> None:
        self._count_closed(reason)
        self.forget(connection)
        connection.transport.abort()

    def forget(self, connection: WatchedConnection) -> None:
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._of.pop(connection.inner, None)

    def _count_closed(self, reason: str) -> None:
        self.closed[reason] += 1
        log.debug("Connection closed: %s", CLOSE_REASONS[reason])

    def touch(self, connection: WatchedConnection) -> None:
        """Marks a connection as just active, since a request begins, so that it is evicted last.

        It still counts as idle: a header that drips in must make room sooner or later.
        """
        if connection in self._idle:
            del self._idle[connection]
            self._idle[connection] = None

    def set_busy(self, protocol: asyncio.BaseProtocol, *, busy: bool) -> None:
        """Notes whether a request of this connection is being answered."""
        if connection := self._of.get(protocol):
            connection.header_since = None
            self._idle.pop(connection, None)
            if not busy:
                self._idle[connection] = None

    async def sweeping(self, _: web.Application) -> AsyncIterator[None]:
        """Closes late and unread connections as long as the application runs; for its `cleanup_ctx`."""
        async with background(self._sweep()):
            yield

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = asyncio.get_running_loop().time()
            for connection in [*self._all]:
                if connection in self._idle and connection.is_late(now, self._header_timeout):
                    self.abort(connection, LATE)
                elif connection.is_unread(now):
                    self.abort(connection, UNREAD)


class WatchedConnection(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol, and watches it."""

    transport: asyncio.Transport
    inner: asyncio.Protocol

    def __init__(self, connections: Connections, make: Callable[[], asyncio.Protocol]) -> None:
        self._connections = connections
        self._make = make
        self._admitted = False
        self._paused = False
        # Since when, and how many bytes, the client has not read.
        self._unread: tuple[float, int] | None = None
        self.header_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.inner = self._make()
        self._admitted = self._connections.admit(self)
        if self._admitted:
            self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if self.header_since is None:
            self.header_since = asyncio.get_running_loop().time()
            self._connections.touch(self)
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._admitted else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._connections.forget(self)
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._paused = True
        if self._admitted:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._admitted:
            self.inner.resume_writing()

    def is_late(self, now: float, timeout: float) -> bool:
        """Tells whether a request began more than `timeout` seconds ago and its header is still incomplete."""
        return self.header_since is not None and now - self.header_since > timeout

    def is_unread(self, now: float) -> bool:
        """Tells whether a response waits for a client that reads less than MIN_READ per READ_PERIOD."""
        waiting = self.transport.get_write_buffer_size()
        if not waiting or not (self._paused or self.transport.is_closing()):
            self._unread = None
            return False
        since, size = self._unread or (now, waiting)
        if now - since > READ_PERIOD:
            if size - waiting < min(size, MIN_READ):
                return True
            since, size = now, waiting
        self._unread = since, size
        return False


def _refusal(headers: Mapping[str, str]) -> bytes:
    """Returns the whole response to a connection over the limit; its request is not read."""
    body = json.dumps(problem(ServerBusy, "Too many connections. Try again."))
    lines: dict[str, Any] = {
        "Content-Type": "application/problem+json",
        "Content-Length": len(body),
        "Connection": "close",
        "Retry-After": 10,
        **headers,
    }
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{fields}\r\n{body}".encode()


CONNECTIONS = web.AppKey("connections", Connections)


@web.middleware
async def track_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Marks the connection as busy, until the request log notes that its response was written."""
    request.app[CONNECTIONS].set_busy(request.protocol, busy=True)
    return await handler(request)
