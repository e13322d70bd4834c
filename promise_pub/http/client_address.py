"""Who sent a request: the other end of its connection, or, where that is a proxy we trust, whom the proxy names.

Proxies append to `X-Forwarded-For` whom they were asked by. What stands left of that was there before, and may be made
up: the list is read from the right, and only as far as those who wrote it are trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from aiohttp import web

from promise_pub.addresses import Address, Network

HEADER = "X-Forwarded-For"
MOST_HOPS = 32  # proxies one behind another; a client that is trusted itself could name thousands

TRUSTED_PROXIES: web.AppKey[Sequence[Network]] = web.AppKey("trusted_proxies", Sequence[Network])

# Each part is bounded: it is asked of whatever strangers write.
_WRITTEN = re.compile(
    r"""(?P<v4> [0-9.]{7,15} ) (?: :[0-9]{1,5} )?
    | (?P<bracket> \[ )? (?P<v6> [0-9A-Fa-f:.]{2,45} ) (?: %[^%\[\]]{1,64} )? (?(bracket) \] (?: :[0-9]{1,5} )? )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request. The port is there only where the connection is the client's own.

    An IPv4 address is one however it was written, and no address has a zone.
    """

    address: Address
    port: int | None


CLIENT: web.RequestKey[Client | None] = web.RequestKey("client", Client)


def client_of(request: web.BaseRequest) -> Client | None:
    """Who sent it; None where not even the peer is known, whose connection was gone before the request was read."""
    if CLIENT not in request:
        request[CLIENT] = _found(request)
    return request[CLIENT]


def _found(request: web.BaseRequest) -> Client | None:
    peer, trusted = _peer(request), _trusted(request)
    if peer is None or not trusted:
        return peer
    return client_behind(peer, request.headers.getall(HEADER, ()), trusted)


def _peer(request: web.BaseRequest) -> Client | None:
    """The other end, as aiohttp noted it when the request came: the transport goes with the client."""
    noted = request._transport_peername
    if not isinstance(noted, tuple):  # a name, of a socket that has no address
        return None
    address = address_in(noted[0])
    return Client(address, noted[1]) if address else None


def _trusted(request: web.BaseRequest) -> Sequence[Network]:
    """Nobody, where it was no HTTP: such a request comes to no application, and aiohttp gives it no headers."""
    if not isinstance(request, web.Request) or request._match_info is None:
        return ()
    return request.app[TRUSTED_PROXIES]


def client_behind(peer: Client, lines: Sequence[str], trusted: Sequence[Network]) -> Client:
    """The first, from the right of the header's lines, that is not trusted, or else the last there is.

    What is no address ends the list: then it is the one that handed it on.
    """
    client = peer
    for told in islice(_from_the_right(lines), MOST_HOPS):
        if not _is_one_of(trusted, client.address):
            return client
        address = address_in(told)
        if address is None:
            return Client(client.address, None)
        client = Client(address, None)
    return client


def _from_the_right(lines: Sequence[str]) -> Iterator[str]:
    for line in reversed(lines):
        yield from reversed(line.rsplit(",", MOST_HOPS))


def _is_one_of(networks: Iterable[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def address_in(text: str) -> Address | None:
    """What `1.2.3.4:567`, `[2001:db8::1]:80`, `fe80::1%eth0`, `::ffff:1.2.3.4` and plain addresses tell; None of others."""
    match = _WRITTEN.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    try:
        return IPv4Address(match["v4"]) if match["v4"] else _v4_or_v6(match["v6"])
    except ValueError:
        return None


def _v4_or_v6(text: str) -> Address:
    address = IPv6Address(text)
    return address.ipv4_mapped or address
