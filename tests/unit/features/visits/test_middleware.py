"""Who is noted, what is noted of them, and which cookie they get."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from yarl import URL

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.visits import middleware
from promise_pub.features.visits import sessions as visit_sessions
from promise_pub.features.visits.client_quota import ALL_UNKNOWN, KNOWN, UNKNOWN, ClientQuota
from promise_pub.features.visits.disk_quota import DiskQuota, Room
from promise_pub.features.visits.feature import with_services
from promise_pub.features.visits.hit_buffer import HitBuffer, HitCounts
from promise_pub.features.visits.hits import MAX_UNKNOWN_LENGTH, Hit, HitIds
from promise_pub.features.visits.middleware import RECORDING, VisitRecording
from promise_pub.features.visits.sessions import VisitorSessions
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.http.security import LOOPBACK, Exposure
from promise_pub.settings.casts import networks
from tests.fake_accounts import QUICK, FakeAccounts
from tests.web_house import House

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Kept:
    """Hits in a list; `away` is what every question raises while it is set, and a `hanging` one has no answer."""

    hits: list[Hit] = field(default_factory=list)
    away: DatabaseUnavailable | None = None
    hanging: bool = False
    asked: int = 0

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        await self._answer()
        known = {hit.id for hit in self.hits}
        self.hits += [hit for hit in hits if hit.id not in known]
        return []

    async def get_last_hit(self, session: UUID) -> datetime | None:
        self.asked += 1
        await self._answer()
        return max((hit.at for hit in self.hits if hit.session_id == session), default=None)

    async def _answer(self) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        if self.away:
            raise self.away


class Noted:
    """The application, noting; and a client that keeps no cookies and follows no redirects."""

    def __init__(self, kept: Kept, buffer: HitBuffer, app: web.Application, url: str, http: aiohttp.ClientSession):
        self.kept, self.buffer, self.app, self.url, self._http = kept, buffer, app, url, http
        self.now = 0.0

    async def get(self, path: str = "/", cookie: str | None = None, method: str = "GET", **more: Any) -> Any:
        headers = {**BROWSER, **more.pop("headers", {})}
        if cookie is not None:
            headers["Cookie"] = cookie
        headers = {name: value for name, value in headers.items() if value}
        url = f"{self.url}{path}"
        async with self._http.request(method, url, headers=headers, allow_redirects=False, **more) as answer:
            await answer.read()
            return answer

    async def hits(self) -> list[Hit]:
        await self.buffer.flush()
        return self.kept.hits

    async def pages(self) -> list[str]:
        return [hit.page for hit in await self.hits()]


@asynccontextmanager
async def noting(
    folder: Path,
    kept: Kept | None = None,
    *,
    exposure: Exposure = LOOPBACK,
    authenticator: Authenticator | None = None,
    clock: Callable[[], float] | None = None,
    clients: ClientQuota | None = None,
    **options: Any,
) -> AsyncIterator[Noted]:
    kept = Kept() if kept is None else kept
    settings = replace(VisitsSettings(), **options)
    times = {"clock": clock} if clock else {}
    sessions = VisitorSessions(kept.get_last_hit, settings.idle * 60, **times)
    async with AsyncExitStack() as stack:
        house = House(folder)
        await stack.enter_async_context(house.runs)
        buffer = HitBuffer(kept, Room(DiskQuota(settings.quota)), sessions.forget)
        await stack.enter_async_context(buffer)
        recording = VisitRecording(buffer, sessions, settings, HitIds(), clients or ClientQuota())
        recording = with_services(kept, recording)  # type: ignore[arg-type]
        app = house.app(recording, exposure=exposure, authenticator=authenticator)
        server = await stack.enter_async_context(TestServer(app))
        jar = aiohttp.DummyCookieJar()
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
        yield Noted(kept, buffer, app, str(server.make_url("")).rstrip("/"), http)


def an_authenticator(accounts: FakeAccounts | None = None) -> Authenticator:
    signer = SessionSigner(b"k" * 32, hours=12)
    return Authenticator(accounts or FakeAccounts(), signer, Passwords(QUICK), LoginAttempts())


def given(answer: Any) -> list[str]:
    """The cookies of an answer, as they were sent."""
    return [*answer.headers.getall("Set-Cookie", [])]


def session_of(answer: Any, name: str = "PROMISE_PUB_ID") -> str:
    """The session that it gives, with the cookie compared whole."""
    (cookie,) = given(answer)
    session = cookie.partition("=")[2].partition(";")[0]
    assert cookie == f"{name}={session}; HttpOnly; Path=/; SameSite=Lax"
    assert UUID(session).version == 4 and str(UUID(session)) == session
    return session


# The five cases of a cookie.


async def test_whoever_has_no_cookie_gets_one(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        session = session_of(await noted.get())
        (hit,) = await noted.hits()
    assert str(hit.session_id) == session


async def test_the_next_client_gets_another_one(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        first, second = session_of(await noted.get()), session_of(await noted.get())
        assert first != second
        assert {str(hit.session_id) for hit in await noted.hits()} == {first, second}


async def test_a_known_cookie_is_kept_and_not_sent_again(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        session = session_of(await noted.get())
        assert given(await noted.get("/runs", f"PROMISE_PUB_ID={session}")) == []
        assert [str(hit.session_id) for hit in await noted.hits()] == [session] * 2
        assert noted.kept.asked == 0, "this server knows its own sessions"


async def test_an_unknown_cookie_is_replaced(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        unknown = str(uuid4())
        session = session_of(await noted.get("/", f"PROMISE_PUB_ID={unknown}"))
        assert session != unknown and noted.kept.asked == 1
        assert [str(hit.session_id) for hit in await noted.hits()] == [session]


@pytest.mark.parametrize(
    "invalid",
    [
        "",
        "x",
        "1" * 36,
        "' OR 1=1 --",
        "00000000-0000-4000-8000-00000000000g",
        "{00000000-0000-4000-8000-000000000000}",
        "0" * 32,
        "é" * 36,
        "x" * 4000,
    ],
)
async def test_an_invalid_cookie_is_replaced_and_nobody_is_asked(tmp_path: Path, invalid: str) -> None:
    async with noting(tmp_path) as noted:
        session_of(await noted.get("/", f"PROMISE_PUB_ID={invalid}"))
        assert noted.kept.asked == 0
        assert await noted.pages() == ["/"]


# Sessions: how long they last, and what knows them.


async def test_a_session_outlives_the_server(tmp_path: Path) -> None:
    kept = Kept()
    async with noting(tmp_path, kept) as noted:
        session = session_of(await noted.get())
    async with noting(tmp_path, kept) as noted:
        for _ in range(2):
            assert given(await noted.get("/", f"PROMISE_PUB_ID={session}")) == []
        assert kept.asked == 1
    assert [str(hit.session_id) for hit in kept.hits] == [session] * 3


@pytest.mark.parametrize(("minutes", "goes_on"), [(29.9, True), (30.0, False), (3000.0, False)])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_session_ends_when_nothing_comes_for_a_while(
    tmp_path: Path, minutes: float, goes_on: bool, restarted: bool
) -> None:
    now = datetime.now(UTC).timestamp()
    kept = Kept()
    async with noting(tmp_path, kept, clock=lambda: now) as noted:
        session = session_of(await noted.get())
        await noted.hits()
        at = datetime.fromtimestamp(now, UTC)
        kept.hits = [replace(hit, at=at) for hit in kept.hits]
        if not restarted:
            now += minutes * 60
            answer = await noted.get("/", f"PROMISE_PUB_ID={session}")
            assert (given(answer) == []) is goes_on
    if restarted:
        now += minutes * 60
        async with noting(tmp_path, kept, clock=lambda: now) as noted:
            answer = await noted.get("/", f"PROMISE_PUB_ID={session}")
            assert (given(answer) == []) is goes_on


async def test_each_hit_makes_a_session_last_longer_but_no_redirect_does(tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    async with noting(tmp_path, clock=lambda: now) as noted:
        session = session_of(await noted.get())
        for _ in range(5):
            now += 29 * 60
            assert given(await noted.get("/runs", f"PROMISE_PUB_ID={session}")) == []


async def test_a_session_goes_on_that_another_server_has_seen_later(tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    async with noting(tmp_path, clock=lambda: now) as noted:
        session = session_of(await noted.get())
        await noted.hits()
        now += 31 * 60
        there = replace(noted.kept.hits[0], id=uuid4(), at=datetime.fromtimestamp(now - 60, UTC))
        noted.kept.hits.append(there)
        assert given(await noted.get("/", f"PROMISE_PUB_ID={session}")) == []


async def test_a_forgotten_session_is_not_known_any_more(tmp_path: Path) -> None:
    class Forgetting(Kept):
        async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
            return [hit.session_id for hit in hits]

    async with noting(tmp_path, Forgetting()) as noted:
        session = session_of(await noted.get())
        await noted.buffer.flush()
        assert session_of(await noted.get("/", f"PROMISE_PUB_ID={session}")) != session


async def test_over_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    async with noting(tmp_path, exposure=Exposure(tls=True)) as noted:
        (cookie,) = given(await noted.get())
    assert re.fullmatch("PROMISE_PUB_ID=[0-9a-f-]{36}; HttpOnly; Path=/; SameSite=Lax; Secure", cookie)


async def test_the_cookie_is_called_as_it_is_configured(tmp_path: Path) -> None:
    async with noting(tmp_path, cookie="who") as noted:
        session = session_of(await noted.get(), "who")
        assert given(await noted.get("/", f"who={session}")) == []
        assert session_of(await noted.get("/", f"PROMISE_PUB_ID={session}"), "who") != session


async def test_redirects_and_errors_give_one_too_but_are_no_hits(tmp_path: Path) -> None:
    async with noting(tmp_path, authenticator=an_authenticator()) as noted:
        redirect = await noted.get("/runs")
        assert (redirect.status, redirect.headers["Location"]) == (303, "/login?next=%2Fruns")
        session = session_of(redirect)
        login = await noted.get("/login", f"PROMISE_PUB_ID={session}")
        assert login.status == 200 and given(login) == []
        assert await noted.pages() == ["/login"]
    async with noting(tmp_path) as noted:
        for path, status in (("/runs?page=0", 400), ("/", 405), ("/simulate/", 400)):
            method = "DELETE" if status == 405 else "POST" if path == "/simulate/" else "GET"
            wrong = await noted.get(path, method=method)
            assert wrong.status == status
            session_of(wrong)
        assert await noted.pages() == []


# Which answers are hits.


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", "/"),
        ("/?page=2&token=s3cret", "/"),
        ("/runs", "/runs"),
        ("/docs", "/docs"),
        ("/compare", "/compare"),
        (f"/runs/{NOBODY}", "/runs/{id}"),
        ("/runs/nonsense", "/runs/{id}"),
        ("/nothing/there", "not found"),
        ("/static/nothing.css", None),
        ("/static/style.css", None),
        ("/metrics", None),
        ("/healthz", None),
        ("/readyz", None),
        ("/openapi.json", None),
        ("/runs?format=json", None),
        ("/runs?format=csv", None),
        (f"/runs/{NOBODY}/stream", None),
        ("/nothing?format=json", None),
    ],
)
async def test_pages_are_noted_by_their_route_and_nothing_else_is(tmp_path: Path, path: str, page: str | None) -> None:
    async with noting(tmp_path) as noted:
        answer = await noted.get(path)
        assert await noted.pages() == ([page] if page else [])
        assert len(given(answer)) == (1 if page else 0)


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        ({}, True),
        ({"Sec-Fetch-Dest": ""}, True),  # not sent: no browser, or an old one
        ({"Accept": ""}, True),
        ({"Accept": "*/*"}, True),
        ({"Accept": "application/json"}, False),
        ({"Sec-Fetch-Dest": "iframe"}, True),
        ({"Sec-Fetch-Dest": "empty"}, False),
        ({"Sec-Fetch-Dest": "image"}, False),
        ({"Sec-Purpose": "prefetch"}, False),
        ({"Sec-Purpose": "prefetch;prerender"}, False),
        ({"DNT": "1"}, False),
        ({"DNT": "0"}, True),
        ({"DNT": "null"}, True),
        ({"Sec-GPC": "1"}, False),
        ({"Sec-GPC": "0"}, True),
    ],
)
async def test_who_does_not_want_to_be_noted_and_who_sees_no_page_is_not(
    tmp_path: Path, headers: dict[str, str], is_one: bool
) -> None:
    async with noting(tmp_path) as noted:
        answer = await noted.get("/runs", headers=headers)
        assert answer.status == 200
        assert len(await noted.pages()) == len(given(answer)) == is_one


async def test_a_page_that_one_has_already_is_a_hit_and_its_head_is_none(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        mark = (await noted.get("/docs")).headers["ETag"]
        again = await noted.get("/docs", headers={"If-None-Match": mark})
        assert again.status == 304 and len(given(again)) == 1
        assert (await noted.get("/docs", method="HEAD")).status == 200
        assert [(hit.page, hit.status) for hit in await noted.hits()] == [
            ("/docs", 200),
            ("/docs", 304),
        ]


async def test_a_result_that_is_shown_after_a_form_is_a_hit(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        headers = {"Content-Type": "text/csv"}
        answer = await noted.get("/simulate/?mode=batch", method="POST", data=b"a,b\n", headers=headers)
        assert answer.status == 200
        assert [(hit.page, hit.method) for hit in await noted.hits()] == [("/simulate/", "POST")]


# What is kept of one.


async def test_a_hit_has_what_is_known_of_the_client_but_nothing_that_lets_it_in(
    tmp_path: Path,
) -> None:
    before = datetime.now(UTC)
    async with noting(tmp_path) as noted:
        headers = {
            "User-Agent": "Mozilla/5.0 ünï",
            "Referer": "https://elsewhere.example/list?a=s3cret",
            "Authorization": "Bearer s3cret",
            "Proxy-Authorization": "Basic s3cret",
        }
        pairs = [*BROWSER.items(), *headers.items(), ("Accept-Language", "1"), ("Accept-Language", "2")]
        pairs += [("X-Anything", "s3cret"), ("X-Forwarded-For", "s3cret")]
        pairs.append(("Cookie", "other=s3cret; PROMISE_PUB_ID=s3cret"))
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            async with http.get(f"{noted.url}/runs/{NOBODY}?format=html&token=s3cret", headers=pairs) as answer:
                assert answer.status == 404
        (hit,) = await noted.hits()
    assert before <= hit.at <= datetime.now(UTC)
    assert (hit.page, hit.path, hit.method, hit.status) == (
        "/runs/{id}",
        f"/runs/{NOBODY}",
        "GET",
        404,
    )
    assert hit.ip == ip_address("127.0.0.1") and hit.port and 1024 <= hit.port <= 65535
    assert hit.user_agent == "Mozilla/5.0 ünï"
    assert hit.referrer == "https://elsewhere.example/list" and hit.known
    assert hit.took_ms is not None and 0 < hit.took_ms < 60_000
    kept = json.loads(hit.headers)
    assert [value for name, value in kept if name.lower() == "accept-language"] == ["1", "2"]
    assert "s3cret" not in hit.headers and "s3cret" not in str(hit)


@pytest.mark.parametrize("path", ["/a%00b", "/a%ff", "/%F0%9F%A6%80", "/a%0Ab", "/" + "x" * 7000])
async def test_whatever_is_asked_for_can_be_kept(tmp_path: Path, path: str) -> None:
    async with noting(tmp_path) as noted:
        async with aiohttp.ClientSession() as http:
            url = URL(f"{noted.url}{path}", encoded=True)
            async with http.get(url, headers={**BROWSER, "User-Agent": "a\udcffb"}) as answer:
                assert answer.status == 404
        (hit,) = await noted.hits()
    for text in (hit.path, hit.user_agent, hit.headers):
        assert text is not None and "\0" not in text and len(text) <= 9000
        text.encode()


async def test_behind_a_trusted_proxy_the_client_is_the_one_that_it_names(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.77"}
    trusting = replace(LOOPBACK, trusted_proxies=networks("127.0.0.1"))
    async with noting(tmp_path, exposure=trusting) as noted:
        await noted.get("/", headers=forwarded)
        (hit,) = await noted.hits()
        assert (str(hit.ip), hit.port) == ("203.0.113.77", None)
    async with noting(tmp_path) as noted:
        await noted.get("/", headers=forwarded)
        (hit,) = await noted.hits()
        assert str(hit.ip) == "127.0.0.1" and hit.port


async def test_an_address_that_is_to_tell_nobody_is_cut_and_stands_nowhere_else(
    tmp_path: Path,
) -> None:
    exposure = replace(LOOPBACK, trusted_proxies=networks("127.0.0.1"))
    async with noting(tmp_path, exposure=exposure, anonymise=True) as noted:
        for address in ("203.0.113.77", "2001:db8:1:2:3::77"):
            told = {"X-Forwarded-For": address, "Forwarded": f"for={address}", "X-Real-IP": address}
            await noted.get("/", headers=told)
        first, second = await noted.hits()
    assert (str(first.ip), first.port) == ("203.0.113.0", None)
    assert (str(second.ip), second.port) == ("2001:db8:1::", None)
    # Not 77 alone: the server's port, in the Host header, may have it.
    assert not any(address in first.headers + second.headers for address in (".77", "::77"))


# Who has not logged in, where users do.

LONG = {
    "User-Agent": "x" * 3000,
    "Referer": f"https://elsewhere.example/{'x' * 3000}",
    "Accept-Language": "de",
    "X-Anything": "x" * 3000,
}


async def test_of_who_has_not_logged_in_little_is_kept(tmp_path: Path) -> None:
    accounts = FakeAccounts()
    token, _ = await accounts.add_token("a script", Role.VIEWER, 1)
    async with noting(tmp_path, authenticator=an_authenticator(accounts)) as noted:
        await noted.get("/login?x=1", headers=LONG)
        await noted.get("/docs", headers=LONG | {"Authorization": f"Bearer {token}"})
        await noted.get("/docs", headers=LONG | {"Authorization": "Bearer of nothing"})
        stranger, known = await noted.hits()
    assert (stranger.known, stranger.page, stranger.path, stranger.headers) == (False, "/login", "/login", "[]")
    assert stranger.user_agent == "x" * MAX_UNKNOWN_LENGTH
    assert stranger.referrer and len(stranger.referrer) == MAX_UNKNOWN_LENGTH
    assert (known.known, known.page, len(known.user_agent or "")) == (True, "/docs", 2000)
    assert ["Accept-Language", "de"] in json.loads(known.headers)


async def test_a_path_of_who_has_not_logged_in_is_cut(tmp_path: Path) -> None:
    async with noting(tmp_path, authenticator=an_authenticator()) as noted:
        request = make_mocked_request("GET", "/" + "x" * 3000, app=noted.app)
        recording = noted.app[RECORDING]
        hit = middleware._hit(request, web.Response(), recording, UUID(int=1), datetime.now(UTC), 1.0)
        assert hit.path == "/" + "x" * (MAX_UNKNOWN_LENGTH - 1)


# Who comes too often.


async def test_hits_beyond_the_quota_of_a_client_are_counted_and_nothing_else(tmp_path: Path) -> None:
    async with noting(tmp_path, authenticator=an_authenticator(), clients=ClientQuota(lambda: 5.0)) as noted:
        answers = [await noted.get(f"/login?x={number}") for number in range(UNKNOWN.burst + 20)]
        assert all(answer.status == 200 for answer in answers)
        assert [len(given(answer)) for answer in answers] == [1] * UNKNOWN.burst + [0] * 20
        assert {answer.headers["Cache-Control"] for answer in answers} == {answers[0].headers["Cache-Control"]}
        redirect = await noted.get("/runs")
        assert redirect.status == 303 and given(redirect) == []
        assert len(await noted.hits()) == UNKNOWN.burst
        assert noted.buffer.counts == HitCounts(UNKNOWN.burst + 20, UNKNOWN.burst, 0, 0, 20)
        asked = noted.kept.asked
        await noted.get("/login", f"PROMISE_PUB_ID={uuid4()}")
        assert noted.kept.asked == asked, "nobody is asked about its cookie"


async def test_strangers_do_not_use_up_the_quota_of_who_has_logged_in(tmp_path: Path) -> None:
    clients, accounts = ClientQuota(lambda: 5.0), FakeAccounts()
    token, _ = await accounts.add_token("a script", Role.VIEWER, 1)
    for number in range(ALL_UNKNOWN.burst):
        clients.admit(ip_address(number), known=False)
    async with noting(tmp_path, authenticator=an_authenticator(accounts), clients=clients) as noted:
        assert given(await noted.get("/login")) == []
        assert len(given(await noted.get("/docs", headers={"Authorization": f"Bearer {token}"}))) == 1
        assert await noted.pages() == ["/docs"]


async def test_where_nobody_logs_in_everybody_has_the_larger_quota(tmp_path: Path) -> None:
    clients = ClientQuota(lambda: 5.0)
    async with noting(tmp_path, clients=clients) as noted:
        for _ in range(KNOWN.burst - 1):
            clients.admit(ip_address("127.0.0.1"), known=True)
        session_of(await noted.get("/docs"))
        assert given(await noted.get("/docs")) == []
        assert noted.buffer.counts.limited == 1


# With the database away.


async def test_with_the_database_away_pages_are_shown_and_nothing_is_lost(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        session = session_of(await noted.get())
        await noted.hits()
        noted.kept.away = DatabaseUnavailable()
        for _ in range(20):
            answer = await noted.get("/docs", f"PROMISE_PUB_ID={session}")
            assert answer.status == 200 and given(answer) == []
            await noted.buffer.flush()
        assert noted.buffer.counts.waiting == 20
        noted.kept.away = None
        assert await noted.pages() == ["/", *["/docs"] * 20]
        recorded = noted.buffer.counts
        assert (recorded.noted, recorded.written, recorded.lost) == (21, 21, 0)


async def test_a_cookie_that_nobody_can_be_asked_about_is_replaced_and_the_page_comes(
    tmp_path: Path,
) -> None:
    async with noting(tmp_path) as noted:
        noted.kept.away = DatabaseUnavailable()
        for _ in range(3):
            session_of(await noted.get("/docs", f"PROMISE_PUB_ID={uuid4()}"))
        assert noted.kept.asked == 1, "who gave no answer is not asked again at once"


async def test_a_question_that_is_not_answered_holds_one_page_up_and_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit_sessions, "LOOKUP_TIMEOUT", 0.05)
    async with noting(tmp_path) as noted:
        noted.kept.hanging = True
        async with asyncio.timeout(30):
            for _ in range(5):
                session_of(await noted.get("/docs", f"PROMISE_PUB_ID={uuid4()}"))
        assert noted.kept.asked == 1
        noted.kept.hanging = False


async def test_a_page_never_waits_for_its_note(tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        noted.kept.hanging = True
        writing = asyncio.create_task(noted.buffer.flush())
        session = session_of(await noted.get())
        writing.cancel()
        writing = asyncio.create_task(noted.buffer.flush())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            for _ in range(5):
                await noted.get("/", f"PROMISE_PUB_ID={session}")
        assert noted.buffer.counts.waiting == 6
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        noted.kept.hanging = False


async def test_without_it_nobody_is_noted_and_nobody_gets_a_cookie(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Any]]
) -> None:
    house = House(tmp_path)
    async with house.runs:
        client = await aiohttp_client(house.app(with_services(Kept())))  # type: ignore[arg-type]
        assert "Set-Cookie" not in (await client.get("/", headers=BROWSER)).headers


# Caches that many share.


@pytest.mark.parametrize("path", ["/", "/runs", "/docs", "/nothing", "/runs?page=x", "/runs/x"])
async def test_no_shared_cache_hands_on_a_cookie_or_keeps_a_visitor_from_us(path: str, tmp_path: Path) -> None:
    async with noting(tmp_path) as noted:
        first = await noted.get(path)
        again = await noted.get(path, f"PROMISE_PUB_ID={session_of(first)}")
        shown = first.headers.get("ETag", "")
        unchanged = await noted.get(path, headers={"If-None-Match": shown})
    for answer in (first, again, unchanged):
        assert answer.headers["Cache-Control"] == "private, no-cache"


# Cookies that somebody makes up.


class Slow:
    """Knows no session, and takes a while to say so."""

    def __init__(self) -> None:
        self.asked = self.at_once = self.most = 0

    async def get_last_hit(self, session: UUID) -> datetime | None:
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.03)
        self.at_once -= 1
        return None


async def test_made_up_cookies_take_few_connections_and_soon_none() -> None:
    slow = Slow()
    sessions = VisitorSessions(slow.get_last_hit, 60)
    async with asyncio.timeout(5):
        found = await asyncio.gather(*(sessions.find_or_start(str(uuid4())) for _ in range(1000)))
    assert all(new for _, new in found)
    assert slow.most == visit_sessions.MAX_LOOKUPS and slow.asked < 50


async def test_a_clock_that_is_put_back_does_not_keep_sessions_from_being_asked_for() -> None:
    now = 10_000.0
    away = Kept(away=DatabaseUnavailable())
    sessions = VisitorSessions(away.get_last_hit, 60, lambda: now)
    await sessions.find_or_start(str(uuid4()))
    now -= 3600
    await sessions.find_or_start(str(uuid4()))
    assert away.asked == 2


async def test_a_page_is_shown_whatever_goes_wrong_with_its_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with noting(tmp_path) as noted:
        monkeypatch.setattr(noted.buffer, "add", lambda _: 1 / 0)
        assert (await noted.get("/docs")).status == 200
        assert (await noted.get("/nothing")).status == 404
    assert "The visit of /docs was not recorded" in caplog.text
