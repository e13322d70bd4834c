"""Every connection there is: counted, and closed when it only takes up room.

aiohttp itself closes a connection on which no request has come for too long. It neither counts connections, nor minds
a header that comes a byte at a time, nor an answer that nobody reads, which stays in memory as long.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.errors import ServerBusy
from promise_pub.http.limits import Limits
from promise_pub.http.problems import problem
from promise_pub.logs import told
from promise_pub.resources import allow_many_files

log = logging.getLogger(__name__)

SWEEP_EVERY = 1.0  # seconds between looks at all connections
READ_PERIOD = 30.0  # seconds in which a client must read something of an answer that waits for it
READ_AT_LEAST = 30 * 1024  # bytes; what the slowest network that is any use brings
FILES_BESIDES = 128  # files and sockets that the process may have open besides: database, broker, uploads
REFUSED, HURRIED, LATE, UNREAD = "refused", "idle", "header", "unread"

CLOSED = {
    REFUSED: "there are as many as may be, and none is idle",
    HURRIED: "it was idle longest, and another one came",
    LATE: "the header of a request did not come in time",
    UNREAD: "the answer was not read",
}
"""Why connections are closed here."""


class Connections:
    """The connections of one server. `closed` counts, by reason, those that were closed here."""

    def __init__(self, limits: Limits, headers: Mapping[str, str]) -> None:
        self._most = limits.connections
        self._header_timeout = limits.header_timeout
        self._refusal = _refusal(headers)
        self._all: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # the one that has been idle longest first
        self._of: dict[asyncio.BaseProtocol, Connection] = {}
        self.closed = Counter(dict.fromkeys(CLOSED, 0))

    def __len__(self) -> int:
        return len(self._all)

    def limit_to_files(self) -> None:
        """No more than there can be open files. Tells where that is fewer than are wanted."""
        most = allow_many_files() - FILES_BESIDES
        if most < self._most:
            self._most = max(1, most)
            log.warning("Fewer connections than configured", extra=told(most=self._most))

    def opening(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A protocol factory, of one that makes aiohttp's own protocols."""
        return lambda: Connection(self, make)

    def take_in(self, connection: Connection) -> bool:
        """Whether there is room for it, or room can be made."""
        if len(self._all) >= self._most:
            if not self._idle:
                self._note(REFUSED)
                connection.transport.write(self._refusal)
                connection.transport.close()
                return False
            self.end(next(iter(self._idle)), HURRIED)
        self._all.add(connection)
        self._idle[connection] = None
        self._of[connection.inner] = connection
        return True

    def end(self, connection: Connection, why: str) -> None:
        self._note(why)
        self.forget(connection)
        connection.transport.abort()

    def forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self._of.pop(connection.inner, None)

    def _note(self, why: str) -> None:
        self.closed[why] += 1
        log.debug("Connection closed: %s", CLOSED[why])

    def hear(self, connection: Connection) -> None:
        """A request begins, and whoever sent it did so in time: among those that make room it is the last now.

        It is not busy yet: a header that drips is to make room sooner or later.
        """
        if connection in self._idle:
            del self._idle[connection]
            self._idle[connection] = None

    def is_busy(self, protocol: asyncio.BaseProtocol, *, busy: bool) -> None:
        """Whether a request of this connection is being answered."""
        if connection := self._of.get(protocol):
            connection.header_since = None
            self._idle.pop(connection, None)
            if not busy:
                self._idle[connection] = None

    async def sweeping(self, _: web.Application) -> AsyncIterator[None]:
        """Looks at all connections once a second, as long as the application lives."""
        task = asyncio.create_task(self._sweep())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            now = asyncio.get_running_loop().time()
            for connection in [*self._all]:
                if connection in self._idle and connection.is_late(now, self._header_timeout):
                    self.end(connection, LATE)
                elif connection.is_unread(now):
                    self.end(connection, UNREAD)


class Connection(asyncio.Protocol):
    """One connection: what comes is handed to aiohttp's protocol, and looked at on the way."""

    transport: asyncio.Transport
    inner: asyncio.Protocol

    def __init__(self, connections: Connections, make: Callable[[], asyncio.Protocol]) -> None:
        self._connections = connections
        self._make = make
        self._taken = False
        self._paused = False  # a lot is left to be read by the client
        self._unread: tuple[float, int] | None = None  # since when, and how much it was
        self.header_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.inner = self._make()
        self._taken = self._connections.take_in(self)
        if self._taken:
            self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._taken:
            return
        if self.header_since is None:
            self.header_since = asyncio.get_running_loop().time()
            self._connections.hear(self)
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._taken else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._taken:
            self._connections.forget(self)
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._paused = True
        if self._taken:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._taken:
            self.inner.resume_writing()

    def is_late(self, now: float, timeout: float) -> bool:
        """Whether a request has begun so long ago, and its header is not there."""
        return self.header_since is not None and now - self.header_since > timeout

    def is_unread(self, now: float) -> bool:
        """Whether an answer, or the end of one, waits for a client that does not read it, or hardly."""
        waiting = self.transport.get_write_buffer_size()
        if not waiting or not (self._paused or self.transport.is_closing()):
            self._unread = None
            return False
        since, size = self._unread or (now, waiting)
        if now - since > READ_PERIOD:
            if size - waiting < min(size, READ_AT_LEAST):
                return True
            since, size = now, waiting
        self._unread = since, size
        return False


def _refusal(headers: Mapping[str, str]) -> bytes:
    """The whole answer for a connection too many: what it asks for is not looked at."""
    body = json.dumps(problem(503, ServerBusy.code, "There are too many connections: try again."))
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
    """A connection is idle again when the access log has its line: then the answer is written."""
    request.app[CONNECTIONS].is_busy(request.protocol, busy=True)
    return await handler(request)
