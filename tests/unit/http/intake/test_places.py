"""The places of connections: who makes room for whom, and which share one client has. Each fails without its rule."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.http.intake.connection import MAX_UNASKED
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.intake.shares import BODIES, STREAMS_EACH
from promise_pub.settings.casts import networks
from tests.fake_accounts import QUICK, FakeAccounts
from tests.fakes import until
from tests.listening import Raw, Site, site
from tests.tls import Certificate, make_certificate

HEADERS = b"HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
HEALTH = b"GET /healthz " + HEADERS + b"\r\n"
LOGIN = (
    b"POST /login " + HEADERS + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nname="
)
CSV = b"Content-Type: text/csv\r\n"
SLOW_UPLOAD = CSV + b"Content-Length: 10\r\n\r\nAnn"
PROXIES = networks("127.0.0.0/8")


class Guarded:
    """A site where users log in, with a token for a viewer and one for an operator."""

    def __init__(self, there: Site, viewer: str, operator: str) -> None:
        self.there = there
        self.viewer, self.operator = viewer, operator

    def closed(self) -> dict[str, int]:
        return {why: number for why, number in self.there.app[CONNECTIONS].closed.items() if number}

    async def ask(self, token: str, path: str = "/runs?format=json", **headers: str) -> int:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            headers |= {"Authorization": f"Bearer {token}"} if token else {}
            async with http.get(self.there.url.join(URL(path)), headers=headers) as answer:
                return answer.status


async def opened(stack: AsyncExitStack, folder: Path, **options: object) -> Guarded:
    accounts = FakeAccounts()
    sessions = SessionSigner(b"k" * 32, hours=12)
    authenticator = Authenticator(accounts, sessions, Passwords(QUICK), LoginAttempts())
    viewer, _ = await accounts.add_token("reader", Role.VIEWER, 1)
    operator, _ = await accounts.add_token("writer", Role.OPERATOR, 1)
    there = await stack.enter_async_context(site(folder, authenticator=authenticator, **options))
    return Guarded(there, viewer, operator)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


async def said(stack: AsyncExitStack, there: Site, text: bytes, *, until: bytes = b"") -> Raw:
    raw = await there.raw(text, until=until)
    stack.push_async_callback(raw.close)
    return raw


async def test_bodies_of_strangers_that_do_not_come_keep_nobody_out(stack: AsyncExitStack, tmp_path: Path) -> None:
    """More logins than there are connections, each without its form, begun anew whenever one was closed."""
    guarded = await opened(stack, tmp_path, max_connections=100)

    stop, held = asyncio.Event(), set[Raw]()

    async def hold() -> None:
        while not stop.is_set():
            raw = await guarded.there.raw(LOGIN)
            held.add(raw)
            await raw.rest()
            held.discard(raw)
            await raw.close()

    attack = [asyncio.create_task(hold()) for _ in range(120)]
    await until(lambda: guarded.closed().get("stranger", 0) > 200)
    for _ in range(20):
        assert await guarded.ask("", "/healthz") == 200
        assert await guarded.ask(guarded.operator) == 200
        assert await guarded.ask(guarded.viewer) == 200
    assert len(guarded.there.app[CONNECTIONS]) <= 100
    stop.set()
    while not all(task.done() for task in attack):
        for raw in held:
            raw.writer.transport.abort()
        await asyncio.sleep(0.01)
    await asyncio.gather(*attack)


async def test_the_client_that_has_most_makes_room(stack: AsyncExitStack, tmp_path: Path) -> None:
    guarded = await opened(stack, tmp_path, max_connections=20)
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.there.url.port, local_addr=("127.0.0.2", 0))
    writer.write(LOGIN)
    await until(lambda: len(guarded.there.app[CONNECTIONS]) == 1)
    for _ in range(40):
        await said(stack, guarded.there, LOGIN)
    assert guarded.closed() == {"stranger": 21}
    writer.write(b"x" * 995)
    assert b" 401 " in await Raw(reader, writer).until(b"\r\n"), "the one from elsewhere was not closed"
    writer.close()


async def test_an_operator_takes_the_place_of_a_viewer_and_no_viewer_takes_one(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    guarded = await opened(stack, tmp_path, max_connections=8, min_upload_rate=0)
    slow = asyncio.Event()

    async def never(_: object) -> object:
        await slow.wait()
        raise AssertionError

    guarded.there.house.ledger.get_run = never  # type: ignore[method-assign]
    run = "/runs/7b0e0a52-0000-4000-8000-000000000000"
    waiting = [asyncio.create_task(guarded.ask(guarded.viewer, run)) for _ in range(7)]
    await until(lambda: len(guarded.there.app[CONNECTIONS]) == 7)
    assert await guarded.ask("", "/healthz") == 200, "one connection is kept free"
    assert await guarded.ask(guarded.viewer) == 503
    assert await guarded.ask(guarded.operator) == 200
    assert guarded.closed() == {"outranked": 1}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_one_client_has_a_quarter_of_the_places(stack: AsyncExitStack, tmp_path: Path) -> None:
    """Behind a trusted proxy as well, whose own connections are many clients'."""
    guarded = await opened(stack, tmp_path, max_connections=40, trusted_proxies=PROXIES)
    there, bearer = guarded.there, f"Authorization: Bearer {guarded.operator}\r\n".encode()
    upload = b"POST /simulate/ " + HEADERS + bearer
    for number in range(10):
        forwarded = b"X-Forwarded-For: 2001:db8::%d\r\n" % number
        await said(stack, there, upload + forwarded + SLOW_UPLOAD)
    await until(lambda: len(there.app[CONNECTIONS]._known) == 10)
    again = {"X-Forwarded-For": "2001:db8::ffff"}
    assert await guarded.ask(guarded.operator, **again) == 503
    assert await guarded.ask(guarded.operator, **{"X-Forwarded-For": "2001:db8:0:1::1"}) == 200
    assert guarded.closed() == {}


async def test_uploads_that_do_not_come_leave_places_for_pages(stack: AsyncExitStack, tmp_path: Path) -> None:
    async with site(tmp_path, max_connections=16, min_upload_rate=0) as there:
        upload = b"POST /simulate/ " + HEADERS + SLOW_UPLOAD
        for _ in range(12):
            await said(stack, there, upload)
        await until(lambda: there.app[BODIES].in_use == 12)
        refused = [await said(stack, there, upload) for _ in range(2)]
        answers = await asyncio.gather(*(raw.until(b"\r\n") for raw in refused))
        assert all(b" 503 " in answer for answer in answers)
        async with there.http.get(there.url / "runs") as answer:
            assert answer.status == 200


async def test_a_user_has_a_few_streams(stack: AsyncExitStack, tmp_path: Path) -> None:
    guarded = await opened(stack, tmp_path)
    house, there = guarded.there.house, guarded.there
    async with house.consumer.holding("create"):
        headers = {"Authorization": f"Bearer {guarded.operator}", "Prefer": "respond-async", "Content-Type": "text/csv"}
        async with there.http.post(there.url / "simulate/", data=b"Ann,a@x\n", headers=headers) as answer:
            run = answer.headers["Location"]
        ask = f"GET {run}/stream ".encode() + HEADERS
        viewer = f"Authorization: Bearer {guarded.viewer}\r\n\r\n".encode()
        operator = f"Authorization: Bearer {guarded.operator}\r\n\r\n".encode()
        for _ in range(STREAMS_EACH):
            await said(stack, there, ask + viewer, until=b"event: progress")
        refused = await said(stack, there, ask + viewer)
        assert b" 503 " in await refused.until(b"\r\n")
        await said(stack, there, ask + operator, until=b"event: progress")


@pytest.mark.parametrize("role", ["stranger", "operator"])
async def test_nothing_is_inflated(stack: AsyncExitStack, tmp_path: Path, role: str) -> None:
    """64 MB of zeros in 64 KB: refused by its header, and what of it is read is read as it came."""
    guarded = await opened(stack, tmp_path)
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    bearer = f"Authorization: Bearer {guarded.operator}\r\n".encode() if role == "operator" else b""
    length = b"Content-Length: %d\r\n\r\n" % len(bomb)
    for path in (b"/simulate/", b"/preview/"):
        head = b"POST " + path + b" " + HEADERS + bearer + CSV + b"Content-Encoding: gzip\r\n" + length
        raw = await said(stack, guarded.there, head + bomb)
        wanted = b"415" if role == "operator" else b"401"
        assert wanted in await raw.until(b"\r\n")


async def test_a_body_that_says_it_is_not_encoded_is_taken(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        headers = {"Content-Encoding": "Identity", "Content-Type": "text/csv"}
        async with there.http.post(there.url / "simulate/", data=b"Ann,a@x\n", headers=headers) as answer:
            assert answer.status == 200


async def test_the_body_of_a_stranger_who_was_refused_is_not_read_for_long(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    guarded = await opened(stack, tmp_path)
    raw = await said(stack, guarded.there, b"POST /simulate/ " + HEADERS + CSV + b"Content-Length: 9999999999\r\n\r\n")
    assert b" 401 " in await raw.until(b"\r\n")
    sent = 0
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(15):
            while True:
                raw.writer.write(bytes(65536))
                await raw.writer.drain()
                sent += 65536
    assert guarded.closed() == {"unasked": 1} and sent < 16 * MAX_UNASKED


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "IP:127.0.0.1")


async def test_sockets_that_never_speak_tls_are_counted_and_make_room(
    stack: AsyncExitStack, tmp_path: Path, certificate: Certificate
) -> None:
    options = {"ssl_certificate": certificate.file, "ssl_key": certificate.key}
    async with site(tmp_path, max_connections=10, **options) as there:
        silent = [await said(stack, there, b"") for _ in range(30)]
        assert len(there.app[CONNECTIONS]) == 10
        assert there.app[CONNECTIONS].closed["idle"] == 20
        trusted = ssl.create_default_context(cafile=certificate.file)
        for _ in range(3):
            async with there.http.get(there.url.with_host("127.0.0.1") / "healthz", ssl=trusted) as answer:
                assert answer.status == 200
                assert answer.headers["Strict-Transport-Security"]
        assert await silent[0].rest() == b""


@pytest.mark.parametrize("words", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_handshake_that_does_not_end_is_given_up(
    tmp_path: Path, certificate: Certificate, words: bytes
) -> None:
    """Neither what waits for it nor the count of the connection is left."""
    options = {"ssl_certificate": certificate.file, "ssl_key": certificate.key, "header_timeout": 0.2}
    async with site(tmp_path, **options) as there:
        raw = await there.raw(words)
        await raw.rest()
        await raw.close()
        await until(lambda: len(there.app[CONNECTIONS]) == 0)
