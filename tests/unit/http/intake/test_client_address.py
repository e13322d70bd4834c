"""Who sent a request: the peer, or whom trusted proxies name, whatever else stands in `X-Forwarded-For`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from promise_pub.addresses import Network
from promise_pub.http.intake.client_address import (
    HEADER,
    MAX_HOPS,
    TRUSTED_PROXIES,
    Client,
    client_behind,
    client_of,
    parse_address,
)
from promise_pub.http.security import Exposure, origin_of
from promise_pub.settings.casts import networks
from promise_pub.web.server import Services, make_app
from tests.web_house import Client as HttpClient
from tests.web_house import House

PROXY = "127.0.0.1"
TRUSTED = networks("127.0.0.1, 10.0.0.0/8, ::1, fd00::/8")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4\t", "1.2.3.4"),
        ("1.2.3.4:567", "1.2.3.4"),
        ("255.255.255.255:65535", "255.255.255.255"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("[::ffff:102:304]:80", "1.2.3.4"),
        ("::ffff:1.2.3.4%3", "1.2.3.4"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0.7]:80", "fe80::1"),
        ("0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"),
    ],
)
def test_an_address_is_understood_however_it_is_written(text: str, address: str) -> None:
    assert parse_address(text) == ip_address(address)
    assert "%" not in str(parse_address(text))


GARBAGE = [
    "",
    " ",
    "unknown",
    "_hidden",
    "a.example",
    "localhost:80",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "16909060",
    "0x1020304",
    "1.2.3.4:",
    "1.2.3.4:http",
    "1.2.3.4:123456",
    "1.2.3.4 5.6.7.8",
    "1.2.3.4/32",
    "1.2.3.4%eth0",
    "[1.2.3.4]:80",
    "[2001:db8::1",
    "2001:db8::1]:80",
    "[2001:db8::1]80",
    "2001:db8::1::2",
    "fe80::1%",
    "fe80::1%a%b",
    '"[2001:db8::1]:80"',
    "for=1.2.3.4",
    "١.٢.٣.٤",
    "1.2.3.4\n",
    "." * 8000,
    ":" * 8000,
]


@pytest.mark.parametrize("text", GARBAGE)
def test_what_is_no_address_tells_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        # Nobody else is told of: the connection is the client's own.
        (PROXY, [], PROXY),
        ("9.9.9.9", [], "9.9.9.9"),
        # A peer that is not trusted tells nothing.
        ("9.9.9.9", ["1.2.3.4"], "9.9.9.9"),
        ("9.9.9.9", ["127.0.0.1"], "9.9.9.9"),
        ("9.9.9.9", ["1.2.3.4, 10.0.0.1", "127.0.0.1"], "9.9.9.9"),
        # A trusted one tells whom it was asked by.
        (PROXY, ["1.2.3.4"], "1.2.3.4"),
        (PROXY, ["2001:db8::1"], "2001:db8::1"),
        ("::1", ["1.2.3.4:567"], "1.2.3.4"),
        ("10.255.0.1", ["[2001:db8::1]:80"], "2001:db8::1"),
        # What the client had put there itself stands left of that.
        (PROXY, ["5.6.7.8, 1.2.3.4"], "1.2.3.4"),
        (PROXY, ["127.0.0.1, 1.2.3.4"], "1.2.3.4"),
        (PROXY, ["5.6.7.8", "1.2.3.4"], "1.2.3.4"),
        (PROXY, ["127.0.0.1, 127.0.0.1", "10.0.0.1", "1.2.3.4"], "1.2.3.4"),
        (PROXY, ["<script>,,;, 1.2.3.4"], "1.2.3.4"),
        # Proxies behind proxies.
        (PROXY, ["1.2.3.4, 10.0.0.1"], "1.2.3.4"),
        (PROXY, ["5.6.7.8,1.2.3.4,10.0.0.1,10.0.0.2"], "1.2.3.4"),
        (PROXY, ["5.6.7.8, 1.2.3.4", "10.0.0.1 , fd00::1"], "1.2.3.4"),
        (PROXY, ["1.2.3.4, ::ffff:10.0.0.1, [fd00::1%eth0]:80"], "1.2.3.4"),
        # All of them are trusted: it began with the first.
        (PROXY, ["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        # Garbage ends the list.
        (PROXY, ["1.2.3.4, unknown, 10.0.0.1"], "10.0.0.1"),
        (PROXY, ["1.2.3.4, , 10.0.0.1"], "10.0.0.1"),
        (PROXY, ["1.2.3.4", "", "10.0.0.1"], "10.0.0.1"),
        (PROXY, ["1.2.3.4, a.example"], PROXY),
        (PROXY, ["1.2.3.4,"], PROXY),
        (PROXY, [""], PROXY),
        (PROXY, ["_hidden"], PROXY),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(peer: str, lines: list[str], client: str) -> None:
    found = client_behind(Client(ip_address(peer), 5000), lines, TRUSTED)
    assert found.address == ip_address(client)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_never_taken_for_a_client(garbage: str) -> None:
    lines = [f"1.2.3.4, {garbage}, 10.0.0.1"]
    found = client_behind(Client(ip_address(PROXY), 5000), lines, TRUSTED)
    assert found.address == ip_address("10.0.0.1")


@pytest.mark.parametrize(
    ("peer", "lines", "port"),
    [
        ("9.9.9.9", [], 5000),
        ("9.9.9.9", ["1.2.3.4:567"], 5000),
        (PROXY, [], 5000),
        (PROXY, ["1.2.3.4:567"], None),
        (PROXY, [PROXY], None),
        (PROXY, ["unknown"], None),
        (PROXY, ["unknown, 10.0.0.1:567"], None),
    ],
)
def test_a_port_is_known_only_of_a_connection_that_is_the_clients_own(
    peer: str, lines: list[str], port: int | None
) -> None:
    assert client_behind(Client(ip_address(peer), 5000), lines, TRUSTED).port == port


def test_without_trusted_proxies_the_header_is_nothing() -> None:
    peer = Client(ip_address(PROXY), 5000)
    assert client_behind(peer, ["1.2.3.4"], ()) == peer


def test_a_list_of_trusted_addresses_is_read_only_so_far() -> None:
    """As one who is trusted could send it, to keep the server busy."""
    told = [f"10.0.{n // 256}.{n % 256}" for n in range(1000)]
    lines = [", ".join(told[:990]), ", ".join(told[990:])]
    found = client_behind(Client(ip_address(PROXY), 5000), lines, TRUSTED)
    assert found.address == ip_address(told[-MAX_HOPS])


def request_from(peer: Any, *lines: str, trusted: Sequence[Network] = TRUSTED) -> web.Request:
    app = web.Application()
    app[TRUSTED_PROXIES] = trusted
    transport = mock.Mock()
    transport.get_extra_info = {"peername": peer}.get
    headers = CIMultiDict((HEADER, line) for line in lines)
    return make_mocked_request("GET", "/", headers, app=app, transport=transport)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("1.2.3.4", 5000), "1.2.3.4"),
        (("2001:db8::1", 5000, 0, 0), "2001:db8::1"),
        (("fe80::1%eth0", 5000, 0, 2), "fe80::1"),
        (("::ffff:1.2.3.4", 5000, 0, 0), "1.2.3.4"),
    ],
)
def test_the_peer_of_any_socket_is_a_client(peer: tuple[Any, ...], address: str) -> None:
    assert client_of(request_from(peer)) == Client(ip_address(address), 5000)


def test_a_proxy_whose_ipv4_address_came_in_over_ipv6_is_the_trusted_one() -> None:
    request = request_from(("::ffff:127.0.0.1", 5000, 0, 0), "1.2.3.4")
    assert client_of(request) == Client(ip_address("1.2.3.4"), None)


@pytest.mark.parametrize("peer", [None, "", "/run/some.sock"])
def test_a_peer_without_an_address_is_nobody_and_believed_nothing(peer: str | None) -> None:
    request = request_from(peer, "1.2.3.4", trusted=networks("0.0.0.0/0, ::/0"))
    assert client_of(request) is None
    assert client_of(request) is None


def test_a_request_that_came_to_no_application_is_its_peers() -> None:
    request = request_from((PROXY, 5000), "1.2.3.4")
    request._match_info = None
    assert client_of(request) == Client(ip_address(PROXY), 5000)


def test_who_it_was_is_found_once_a_request() -> None:
    request = request_from((PROXY, 5000), "1.2.3.4")
    assert client_of(request) is client_of(request)


OpenSite = Callable[..., Awaitable[HttpClient]]


@pytest.fixture
def open_site(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[HttpClient]]) -> OpenSite:
    """The application among fakes, with a page that tells each client who it is."""

    async def who(request: web.Request) -> web.Response:
        client = client_of(request)
        assert client
        return web.Response(text=f"{client.address} {client.port}")

    async def start(proxies: str = "", handler: Any = who) -> HttpClient:
        house = House(tmp_path)
        exposure = Exposure(trusted_proxies=networks(proxies) if proxies else ())
        app = make_app(Services(runs=house.runs, ledger=house.ledger, probes={}, exposure=exposure))  # type: ignore[arg-type]
        app.router.add_get("/who", handler)
        return await aiohttp_client(app)

    return start


async def ask(site: HttpClient, *lines: str) -> str:
    headers = CIMultiDict((HEADER, line) for line in lines)
    answer = await site.get("/who", headers=headers)
    assert answer.status == 200
    return await answer.text()


async def test_behind_a_trusted_proxy_the_application_knows_its_clients(
    open_site: OpenSite,
) -> None:
    site = await open_site("127.0.0.0/8, 10.0.0.0/8")
    assert await ask(site, "203.0.113.1") == "203.0.113.1 None"
    assert await ask(site, "203.0.113.2") == "203.0.113.2 None"
    assert await ask(site, "198.51.100.1", "203.0.113.1, 10.1.2.3") == "203.0.113.1 None"
    assert await ask(site, "203.0.113.1", "made up") == "127.0.0.1 None"


async def test_who_is_no_trusted_proxy_is_the_client_whatever_it_sends(
    open_site: OpenSite,
) -> None:
    for proxies in ("", "127.0.0.2, 10.0.0.0/8, ::1"):
        site = await open_site(proxies)
        for lines in ([], ["203.0.113.1"], ["127.0.0.2", "10.0.0.1"]):
            address, port = (await ask(site, *lines)).split()
            assert address == "127.0.0.1" and int(port) > 0


async def test_who_hung_up_is_known_still(open_site: OpenSite) -> None:
    came = asyncio.Event()
    found: asyncio.Queue[tuple[Any, Client | None]] = asyncio.Queue()

    async def wait(request: web.Request) -> web.Response:
        came.set()
        try:  # the test's server cancels what a client has left
            await asyncio.Event().wait()
        finally:
            found.put_nowait((request.transport, client_of(request)))
        return web.Response()

    site = await open_site("", wait)
    _, writer = await asyncio.open_connection(site.host, site.port)
    port = writer.get_extra_info("sockname")[1]
    writer.write(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.wait_for(came.wait(), 10)
    writer.close()
    await writer.wait_closed()
    gone = (None, Client(ip_address("127.0.0.1"), port))
    assert await asyncio.wait_for(found.get(), 10) == gone


@pytest.mark.parametrize(
    ("proxies", "says", "encrypted"),
    [
        ("127.0.0.0/8", "https", True),
        ("127.0.0.0/8", "HTTPS", True),
        ("127.0.0.0/8", "https, http", True),
        ("127.0.0.0/8", "http, https", False),
        ("127.0.0.0/8", "http", False),
        ("127.0.0.0/8", "", False),
        ("10.0.0.0/8", "https", False),
        ("", "https", False),
    ],
)
async def test_a_trusted_proxy_tells_how_it_was_reached(
    open_site: OpenSite, proxies: str, says: str, encrypted: bool
) -> None:
    """It decides about cookies, HSTS, and the addresses that pages show."""

    async def origin(request: web.Request) -> web.Response:
        return web.Response(text=origin_of(request))

    site = await open_site(proxies, origin)
    answer = await site.get("/who", headers={"X-Forwarded-Proto": says, "Host": "localhost:8000"})
    assert await answer.text() == ("https" if encrypted else "http") + "://localhost:8000"
    assert ("Strict-Transport-Security" in answer.headers) is encrypted
