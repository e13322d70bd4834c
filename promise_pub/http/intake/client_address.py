"""The client of a request: the other end of its connection or, behind a trusted proxy, the one that the proxy names.

Each proxy appends its client to `X-Forwarded-For`. Everything left of a trusted proxy's entry was there before and
may be made up: so the list is read from the right, only as far as its authors are trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from aiohttp import web

from promise_pub.addresses import Address, Network
from promise_pub.http.aiohttp_internals import peer_name, reached_application

HEADER = "X-Forwarded-For"
PROTOCOL_HEADER = "X-Forwarded-Proto"
MAX_HOPS = 32  # proxies one behind another; a trusted client could name thousands

TRUSTED_PROXIES: web.AppKey[Sequence[Network]] = web.AppKey("trusted_proxies", Sequence[Network])

# Each part is bounded: strangers write what it is matched with.
_WRITTEN = re.compile(
    r"""(?P<v4> [0-9.]{7,15} ) (?: :[0-9]{1,5} )?
    | (?P<bracket> \[ )? (?P<v6> [0-9A-Fa-f:.]{2,45} ) (?: %[^%\[\]]{1,64} )? (?(bracket) \] (?: :[0-9]{1,5} )? )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Client:
    """The address of a client; its port only where the connection is the client's own.

    IPv4 addresses within IPv6 are plain IPv4 here, and no address has a zone.
    """

    address: Address
    port: int | None


CLIENT: web.RequestKey[Client | None] = web.RequestKey("client", Client)


def client_of(request: web.BaseRequest) -> Client | None:
    """Returns the client; None if its connection was gone before the request was read."""
    if CLIENT not in request:
        client = _peer_of(request)
        # A malformed request has no headers.
        if client and isinstance(request, web.Request) and reached_application(request):
            client = client_behind(client, request.headers.getall(HEADER, ()), request.app[TRUSTED_PROXIES])
        request[CLIENT] = client
    return request[CLIENT]


def is_encrypted_at_proxy(request: web.Request) -> bool:
    """Tells whether a trusted proxy says that the client reached it by HTTPS; where several do, the first of them."""
    peer = _peer_of(request)
    if peer is None or not any(peer.address in network for network in request.app[TRUSTED_PROXIES]):
        return False
    return request.headers.get(PROTOCOL_HEADER, "").partition(",")[0].strip().lower() == "https"


def _peer_of(request: web.BaseRequest) -> Client | None:
    name = peer_name(request)
    # The name of a Unix socket is text.
    address = parse_address(name[0]) if isinstance(name, tuple) else None
    return Client(address, name[1]) if address else None


def client_behind(peer: Client, lines: Sequence[str], trusted: Sequence[Network]) -> Client:
    """Returns the first client, from the right of the header's lines, that is not trusted, else the leftmost one.

    Anything but an address ends the list: the client is then the one that handed it on.
    """
    client = peer
    for entry in islice(_from_the_right(lines), MAX_HOPS):
        if not any(client.address in network for network in trusted):
            return client
        address = parse_address(entry)
        if address is None:
            return Client(client.address, None)
        client = Client(address, None)
    return client


def _from_the_right(lines: Sequence[str]) -> Iterator[str]:
    for line in reversed(lines):
        yield from reversed(line.rsplit(",", MAX_HOPS))


def parse_address(text: str) -> Address | None:
    """Parses `1.2.3.4:567`, `[2001:db8::1]:80`, `fe80::1%eth0`, `::ffff:1.2.3.4` and plain addresses, else returns None."""
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
