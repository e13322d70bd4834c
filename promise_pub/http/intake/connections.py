"""All connections of a server: counted, each given a place or none, and closed when they only take up room.

aiohttp itself closes a connection that has been idle for too long. It does not count connections, nor mind a
header that arrives a byte at a time, nor a response that is never read and stays in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from promise_pub.addresses import Address, Network, network_of
from promise_pub.concurrency import background
from promise_pub.errors import ServerBusy
from promise_pub.http.intake.client_address import client_of, parse_address
from promise_pub.http.intake.connection import Handshakes, Standing, WatchedConnection
from promise_pub.http.intake.limits import Limits
from promise_pub.http.problems import problem
from promise_pub.logs import fields
from promise_pub.resources import allow_many_files

log = logging.getLogger(__name__)

SWEEP_INTERVAL = 1.0  # seconds between checks of all connections
OTHER_FILES = 128  # files and sockets that the process may need besides: database, broker, uploads
MOST_KEPT_FREE = 64  # connections that only those may have whose sender is not known: all begin as one of these
CLIENT_SHARE = 4  # one client's requests may be answered on a quarter of all connections at once

CLOSE_REASONS = {
    "refused": "the limit is reached, and none may be closed instead",
    "idle": "it was idle longest, and a new one needed room",
    "stranger": "its sender was not known, and a new one needed room",
    "outranked": "a request with a better claim needed room",
    "header": "the header of a request did not arrive in time",
    "unread": "the response was not read",
    "unasked": "the body of a refused request did not end",
}
_REASON_OF = {Standing.IDLE: "idle", Standing.STRANGER: "stranger"}
_BUSY = "Too many connections. Try again."


class Connections:
    """The connections of one server. `closed` counts those that were closed here, by reason.

    Every new one is let in as a stranger's; the strangers of the client that has most make room for it. Those whose
    sender is known have all places but a few, and one client a share of these; nobody of the same or a lower standing
    takes them away.
    """

    def __init__(self, limits: Limits, headers: Mapping[str, str], trusted: Iterable[Network] = ()) -> None:
        self._limit = limits.connections
        self._header_timeout = limits.header_timeout
        self._refusal = _refusal(headers)
        self._trusted = [*trusted]
        # Each ordered: those whose last request began longest ago come first.
        self._strangers: dict[Hashable, dict[WatchedConnection, None]] = {}
        self._known: dict[WatchedConnection, None] = {}
        self._held = Counter[str]()  # places of clients, by the keys of their networks
        self._count = 0
        self._of: dict[asyncio.BaseProtocol, WatchedConnection] = {}
        self.closed = Counter(dict.fromkeys(CLOSE_REASONS, 0))

    def __len__(self) -> int:
        return self._count

    @property
    def in_use(self) -> int:
        """The number of connections with a request of a known sender."""
        return len(self._known)

    def limit_to_files(self) -> None:
        """Lowers the limit to what the process may open in files, and logs that."""
        available = allow_many_files() - OTHER_FILES
        if available < self._limit:
            self._limit = max(1, available)
            log.warning("Fewer connections than configured", extra=fields(most=self._limit))

    def wrap(
        self, make: Callable[[], asyncio.Protocol], handshakes: Handshakes | None = None
    ) -> Callable[[], asyncio.Protocol]:
        """Returns a protocol factory around aiohttp's own."""
        return lambda: WatchedConnection(self, make, handshakes)

    def admit(self, connection: WatchedConnection) -> bool:
        """Adds a connection, closing a stranger's if needed; returns False if there is no room, and answers that."""
        if self._count >= self._limit:
            weakest = self._weakest_stranger()
            if weakest is None:
                self._count_closed("refused")
                connection.transport.write(self._refusal)
                connection.transport.close()
                return False
            self._abort(weakest, _REASON_OF[weakest.standing])
        connection.peer = self._peer_key(connection)
        self._count += 1
        self._strangers.setdefault(connection.peer, {})[connection] = None
        return True

    def begin(self, connection: WatchedConnection) -> None:
        """Notes the protocol of a connection on which requests can come."""
        assert connection.inner
        self._of[connection.inner] = connection

    def forget(self, connection: WatchedConnection) -> None:
        self._leave_place(connection)
        self._count -= 1
        if connection.inner:
            self._of.pop(connection.inner, None)

    def touch(self, connection: WatchedConnection) -> None:
        """Marks a connection as just active, since a request begins, so that it is closed last.

        It still counts as idle: a header that drips in must make room sooner or later.
        """
        if connection.standing is Standing.IDLE:
            self._leave_place(connection)
            self._strangers.setdefault(connection.peer, {})[connection] = None

    def cut(self, connection: WatchedConnection) -> None:
        self._abort(connection, "unasked")

    def set_busy(self, protocol: asyncio.BaseProtocol, *, busy: bool) -> None:
        """Notes whether a request of this connection is being answered; who sent it is not known yet."""
        if connection := self._of.get(protocol):
            self._leave_place(connection)
            connection.take_up(Standing.STRANGER if busy else Standing.IDLE)
            self._strangers.setdefault(connection.peer, {})[connection] = None

    def recognise(self, request: web.Request, standing: Standing) -> None:
        """Gives the connection of a request whose sender is known a place. Raises ServerBusy where there is none.

        A place is taken away from a connection of a lower standing: of the same client, where it has its share.
        """
        connection = self._of.get(request.protocol)
        if connection is None:
            return
        self._leave_place(connection)
        client = client_key(request)
        try:
            if client is not None and self._held[client] >= max(1, self._limit // CLIENT_SHARE):
                self._make_room(standing, [one for one in self._known if one.client == client])
            if len(self._known) >= self._limit - min(self._limit // 8, MOST_KEPT_FREE):
                self._make_room(standing, self._known)
        except ServerBusy:
            connection.take_up(Standing.STRANGER)
            self._strangers.setdefault(connection.peer, {})[connection] = None
            raise
        connection.take_up(standing)
        connection.client = client
        self._known[connection] = None
        if client is not None:
            self._held[client] += 1

    def _make_room(self, standing: Standing, among: Iterable[WatchedConnection]) -> None:
        weakest = min(among, key=lambda one: one.standing, default=None)
        if weakest is None or weakest.standing >= standing:
            raise ServerBusy(_BUSY)
        self._abort(weakest, "outranked")

    def _weakest_stranger(self) -> WatchedConnection | None:
        """Returns the one to close: of the client that has most, the one whose last step is longest ago.

        Whether it is idle does not count: a new one, whose request is about to come, is idle as well.
        """
        most = max(self._strangers.values(), key=len, default=())
        return next(iter(most), None)

    def _leave_place(self, connection: WatchedConnection) -> None:
        if connection in self._known:
            del self._known[connection]
            if connection.client is not None:
                self._held[connection.client] -= 1
                if not self._held[connection.client]:
                    del self._held[connection.client]
                connection.client = None
            return
        strangers = self._strangers.get(connection.peer, {})
        strangers.pop(connection, None)
        if not strangers:
            self._strangers.pop(connection.peer, None)

    def _peer_key(self, connection: WatchedConnection) -> Hashable:
        """Returns the key of the other end's network. Behind a trusted proxy are many: each of its connections is one."""
        name = connection.transport.get_extra_info("peername")
        address = parse_address(name[0]) if isinstance(name, tuple) else None
        return connection if address and self._is_trusted(address) else network_of(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _abort(self, connection: WatchedConnection, reason: str) -> None:
        self._count_closed(reason)
        connection.abandon()

    def _count_closed(self, reason: str) -> None:
        self.closed[reason] += 1
        log.debug("Connection closed: %s", CLOSE_REASONS[reason])

    async def sweeping(self, _: web.Application) -> AsyncIterator[None]:
        """Closes late and unread connections as long as the application runs; for its `cleanup_ctx`."""
        async with background(self._sweep()):
            yield

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = asyncio.get_running_loop().time()
            strangers = [one for each in self._strangers.values() for one in each]
            for connection in [*strangers, *self._known]:
                if connection.standing is Standing.IDLE and connection.is_late(now, self._header_timeout):
                    self._abort(connection, "header")
                elif connection.is_unread(now):
                    self._abort(connection, "unread")


def client_key(request: web.Request) -> str | None:
    """Returns the key of the client's network, under which its shares are counted.

    None for this machine, whose users and proxies all have one address.
    """
    client = client_of(request)
    return None if client is None or client.address.is_loopback else network_of(client.address)


def _refusal(headers: Mapping[str, str]) -> bytes:
    """Returns the whole response to a connection over the limit; its request is not read."""
    body = json.dumps(problem(ServerBusy, _BUSY))
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
