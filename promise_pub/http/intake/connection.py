"""One connection, watched from the moment that its socket is accepted: before TLS, and around aiohttp's own protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import Protocol, cast

from promise_pub.concurrency import BackgroundTasks

READ_PERIOD = 30.0  # seconds in which a client must read some of a response that waits for it
MIN_READ = 30 * 1024  # bytes per READ_PERIOD; what the slowest useful network carries
# Bytes that are read without a request for them: the headers of one, what of its body comes before anybody looks at it, and
# as much of the body of a refused one as lets most clients see the answer before their connection ends.
MAX_UNASKED = 2 * 1024 * 1024


class Standing(IntEnum):
    """The claim of a connection to its place, the weakest first."""

    IDLE = 0
    """No request, or not the whole header of one."""
    STRANGER = 1
    """A request whose sender is not known yet, or whom it does not matter to know."""
    STREAM = 2
    """A stream of events, whose client asks again."""
    VIEWER = 3
    OPERATOR = 4


class Register(Protocol):
    """The register of all connections of a server, as one of them needs it."""

    def admit(self, connection: WatchedConnection) -> bool: ...
    def touch(self, connection: WatchedConnection) -> None: ...
    def begin(self, connection: WatchedConnection) -> None: ...
    def cut(self, connection: WatchedConnection) -> None: ...
    def forget(self, connection: WatchedConnection) -> None: ...


class Handshakes:
    """TLS handshakes on sockets that are counted already, each given up after `timeout` seconds."""

    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        self._context = context
        self._timeout = timeout
        self._running = BackgroundTasks()

    def start(self, connection: WatchedConnection, transport: asyncio.Transport) -> None:
        # Nothing is read until TLS reads it.
        transport.pause_reading()
        self._running.start(self._shake(connection, transport))

    async def cancel(self) -> None:
        """Ends those that are under way, and their connections."""
        await self._running.cancel()

    async def _shake(self, connection: WatchedConnection, transport: asyncio.Transport) -> None:
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, connection, self._context, server_side=True, ssl_handshake_timeout=self._timeout
            )
        except (OSError, TimeoutError, ssl.SSLError):
            # No client of ours, or one that left; the socket is closed.
            connection.connection_lost(None)
            return
        if encrypted is not None:
            connection.open(encrypted)


class WatchedConnection(asyncio.Protocol):
    """A connection that passes everything on to aiohttp's protocol, which exists once a request can come."""

    transport: asyncio.Transport

    def __init__(
        self, register: Register, make: Callable[[], asyncio.Protocol], handshakes: Handshakes | None = None
    ) -> None:
        self._register = register
        self._make = make
        self._handshakes = handshakes
        self.inner: asyncio.Protocol | None = None
        self.standing = Standing.IDLE
        self.peer: Hashable = ""
        """The key of the other end's network."""
        self.client: str | None = None
        """The key of the network of the client that holds the place; None while it holds none, and for this machine."""
        self._admitted = self._listed = False
        self._paused = False
        self._early: list[bytes] = []
        self.may_linger = False
        """True once the sender of the last request was known: the body of a refused one is then read for 10 s."""
        self._unasked = 0
        # Since when, and how many bytes, the client has not read.
        self._unread: tuple[float, int] | None = None
        self.header_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._admitted = self._listed = self._register.admit(self)
        if not self._admitted:
            return
        if self._handshakes:
            self._handshakes.start(self, self.transport)
        else:
            self.open(self.transport)

    def open(self, transport: asyncio.Transport) -> None:
        """Hands the connection to aiohttp, once bytes of requests can come through this transport."""
        self.transport = transport
        if not self._listed:
            transport.abort()
            return
        self.inner = self._make()
        self._register.begin(self)
        self.inner.connection_made(transport)
        # They may have come with the last words of the handshake.
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if self.inner is None:
            self._early.append(data)
            return
        if self.header_since is None:
            self.header_since = asyncio.get_running_loop().time()
            self._register.touch(self)
        if self.standing is Standing.IDLE and not self.may_linger:
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                self._register.cut(self)
                return
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._admitted and self.inner else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._admitted and self.inner:
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._paused = True
        if self._admitted and self.inner:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._admitted and self.inner:
            self.inner.resume_writing()

    def abandon(self) -> None:
        """Ends the connection at once, and whatever is being answered on it."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        if self._listed:
            self._listed = False
            self._register.forget(self)

    def take_up(self, standing: Standing) -> None:
        """Notes that a request is answered from now on, or that one was."""
        self.standing = standing
        self.header_since = None
        self._unasked = 0
        if standing is not Standing.IDLE:
            self.may_linger = standing > Standing.STRANGER

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
