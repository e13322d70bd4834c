"""Logging in and out over the application among fakes: who comes in, who is turned away, and how."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import MAX_FOR_NAME, MAX_FROM_ADDRESS, LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.queue.runs import Runs
from promise_pub.errors import DatabaseUnavailable
from promise_pub.http import login
from promise_pub.http.login import COOKIE
from promise_pub.http.security import LOOPBACK, Exposure
from promise_pub.settings.casts import networks
from promise_pub.web.runs import stream
from promise_pub.web.server import Services, make_app
from tests.fake_accounts import QUICK, FakeAccounts
from tests.fakes import FakeBroker, FakeConsumer, FakeLedger

Client = TestClient[web.Request, web.Application]
JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CSV = JSON | {"Content-Type": "text/csv", "Prefer": "respond-async"}
PASSWORD = "correct horse"


class House:
    """The application with users, and a client that follows no redirect."""

    def __init__(self, folder: Path) -> None:
        broker, ledger = FakeBroker(), FakeLedger()
        uploads = Uploads(folder, limit=1000, keep_days=30)
        uploads.prepare()
        runs = Runs(ledger, FakeConsumer(broker, ledger), broker.open_publisher, uploads, 5)
        self.accounts = FakeAccounts()
        sessions = SessionSigner(b"k" * 32, hours=12)
        authenticator = Authenticator(self.accounts, sessions, Passwords(QUICK), LoginAttempts())
        services = Services(runs=runs, ledger=ledger, probes={}, authenticator=authenticator)  # type: ignore[arg-type]
        self.app = lambda exposure: make_app(replace(services, exposure=exposure))
        self.client: Client

    async def ask(self, method: str, path: str, **arguments: Any) -> Any:
        return await self.client.request(method, path, allow_redirects=False, **arguments)

    async def log_in(self, name: str = "ann", password: str = PASSWORD, **more: str) -> Any:
        fields = {"name": name, "password": password, **more}
        return await self.ask("POST", "/login", data=fields, headers=BROWSER)

    async def send(self, **headers: str) -> Any:
        return await self.ask("POST", "/simulate/?mode=batch", data=b"a,b\n", headers=CSV | headers)


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture
def open_house(tmp_path: Path, aiohttp_client: Callable[..., Awaitable[Client]]) -> OpenHouse:
    async def start(exposure: Exposure = LOOPBACK) -> House:
        made = House(tmp_path)
        # A jar of plain HTTP from an address keeps no cookies otherwise.
        jar = CookieJar(unsafe=True)
        made.client = await aiohttp_client(TestServer(made.app(exposure)), cookie_jar=jar)
        await made.accounts.add_user("ann", Role.OPERATOR, QUICK.hash(PASSWORD))
        await made.accounts.add_user("vic", Role.VIEWER, QUICK.hash(PASSWORD))
        return made

    return start


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house()


async def test_people_are_shown_the_login_and_then_the_page_they_asked_for(house: House) -> None:
    asked = await house.ask("GET", "/runs?page=1&per_page=5", headers=BROWSER)
    assert asked.status == 303
    login = await house.ask("GET", asked.headers["Location"], headers=BROWSER)
    assert login.status == 200 and 'value="/runs?page=1&amp;per_page=5"' in await login.text()
    after = await house.log_in(next=URL(asked.headers["Location"]).query["next"])
    assert (after.status, after.headers["Location"]) == (303, "/runs?page=1&per_page=5")
    page = await house.ask("GET", after.headers["Location"], headers=BROWSER)
    assert page.status == 200 and "ann (operator)" in await page.text()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/runs",
        "/runs/x",
        "/runs/x/rejects",
        "/readyz",
        "/metrics",
        "/nothing",
        "/static/../runs",
    ],
)
async def test_nobody_sees_anything_without_a_login(house: House, path: str) -> None:
    url = URL(path, encoded=True)
    shown = await house.client.request("GET", url, headers=BROWSER, allow_redirects=False)
    assert shown.status == 303 and shown.headers["Location"].startswith("/login?next=")
    for headers in (JSON, {"Accept": "*/*"}, {"Accept": "text/csv"}, {"Accept": "text/plain"}):
        answer = await house.client.request("GET", url, headers=headers, allow_redirects=False)
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["code"]) == (401, "login_required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_every_route_there_is_asks_who_comes(house: House) -> None:
    """Those that come later too: all but four, by whatever method."""
    routes = {
        (route.method, route.resource.canonical.replace("{id}", "x"))
        for route in house.app(LOOPBACK).router.routes()
        if route.resource and route.resource.canonical not in login.OPEN
    }
    assert {("GET", "/"), ("GET", "/runs/x/stream"), ("POST", "/runs/x/resume")} <= routes
    assert login.OPEN == {"/healthz", "/static", "/login", "/logout"}
    for method, path in routes:
        assert (await house.ask(method, path)).status == 401, f"{method} {path}"
    await house.log_in("vic")
    for method, path in routes:
        if method not in ("GET", "HEAD"):
            assert (await house.ask(method, path)).status == 403, f"{method} {path}"


@pytest.mark.parametrize("path", ["/healthz", "/static/style.css", "/login"])
async def test_some_pages_stay_open(house: House, path: str) -> None:
    house.accounts.away = DatabaseUnavailable()
    assert (await house.ask("GET", path)).status == 200


async def test_nobody_does_anything_without_a_login(house: House) -> None:
    assert (await house.send()).status == 401
    form = await house.ask("POST", "/simulate/", data=b"a,b\n", headers=BROWSER)
    assert (form.status, form.headers["Location"]) == (303, "/login?next=%2F")
    assert (await house.ask("POST", "/healthz")).status == 401


async def test_a_viewer_looks_and_does_not_act(house: House) -> None:
    await house.log_in("vic")
    for path in ("/runs", "/metrics", "/readyz"):
        assert (await house.ask("GET", path, headers=JSON)).status == 200
    for path in (
        "/simulate/",
        "/preview/",
        "/runs/x/cancel",
        "/runs/x/resume",
        "/runs/x/again",
        "/runs/x/any-new-act",
    ):
        answer = await house.ask("POST", path, headers=JSON)
        assert (answer.status, (await answer.json())["code"]) == (403, "not_allowed")
    assert (await house.ask("DELETE", "/runs")).status == 403


async def test_pages_offer_a_viewer_nothing_that_would_be_refused(house: House) -> None:
    await house.log_in("ann")
    run = (await house.send()).headers["Location"]
    for name, offered in (("ann", True), ("vic", False)):
        await house.log_in(name)
        index = await (await house.ask("GET", "/")).text()
        assert ('action="/simulate/"' in index) is offered
        page = await (await house.ask("GET", run)).text()
        assert (f'action="{run}/cancel"' in page) is offered
        assert ('method="post" action="/runs/' in page) is offered
        assert "Authorization: Bearer $TOKEN" in page
        assert "Log out" in index and "Log out" in page


async def test_an_operator_acts(house: House) -> None:
    await house.log_in("ann")
    assert (await house.send()).status == 202


async def test_another_sites_page_cannot_use_a_login_nor_make_one(house: House) -> None:
    await house.log_in("ann")
    assert (await house.send(Origin="https://evil.example")).status == 403
    headers = BROWSER | {"Sec-Fetch-Site": "cross-site"}
    fields = {"name": "ann", "password": PASSWORD}
    assert (await house.ask("POST", "/login", data=fields, headers=headers)).status == 403
    assert (await house.ask("POST", "/logout", headers=headers)).status == 403
    assert (await house.ask("GET", "/runs", headers=JSON)).status == 200


async def test_a_token_lets_a_script_in_and_only_as_far_as_its_role_goes(house: House) -> None:
    viewer, _ = await house.accounts.add_token("cron", Role.VIEWER, 1)
    operator, _ = await house.accounts.add_token("ci", Role.OPERATOR, 1)
    looks, acts = f"Bearer {viewer}", f"bearer {operator}"
    answer = await house.ask("GET", "/runs", headers=JSON | {"Authorization": looks})
    assert answer.status == 200 and "Set-Cookie" not in answer.headers
    assert (await house.send(Authorization=looks)).status == 403
    assert (await house.send(Authorization=acts)).status == 202
    await house.accounts.revoke_token("ci")
    assert (await house.send(Authorization=acts)).status == 401


async def test_a_token_that_is_none_is_refused_though_the_browser_is_logged_in(
    house: House,
) -> None:
    await house.log_in("ann")
    for headers in (JSON, BROWSER):
        answer = await house.ask("GET", "/runs", headers=headers | {"Authorization": "Bearer abc"})
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["code"]) == (401, "token_refused")
        assert "abc" not in problem["detail"]
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_cookie_is_for_this_server_and_no_script(house: House) -> None:
    cookie = (await house.log_in()).cookies[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert cookie["max-age"] == str(12 * 3600) and not cookie["domain"] and not cookie["secure"]


async def test_over_tls_the_cookie_goes_nowhere_else(open_house: OpenHouse) -> None:
    house = await open_house(Exposure(tls=True))
    assert (await house.log_in()).cookies[COOKIE]["secure"]


async def test_behind_a_tls_proxy_neither(open_house: OpenHouse) -> None:
    house = await open_house(Exposure(trusted_proxies=networks("127.0.0.0/8")))
    fields = {"name": "ann", "password": PASSWORD}
    for proto, secure in (("https", True), ("http", "")):
        headers = BROWSER | {"X-Forwarded-Proto": proto}
        answer = await house.ask("POST", "/login", data=fields, headers=headers)
        assert answer.cookies[COOKIE]["secure"] == secure


async def test_a_logout_ends_the_session_for_every_copy_of_the_cookie(house: House) -> None:
    copy = {"Cookie": f"{COOKIE}={(await house.log_in()).cookies[COOKIE].value}"}
    gone = await house.ask("POST", "/logout", headers=BROWSER)
    assert (gone.status, gone.headers["Location"]) == (303, "/login")
    assert gone.cookies[COOKIE]["max-age"] == "0"
    for headers in (JSON, JSON | copy):
        assert (await house.ask("GET", "/runs", headers=headers)).status == 401
    assert (await house.ask("POST", "/logout", headers=BROWSER)).status == 303


@pytest.mark.parametrize("change", ["remove_user", "change_password"])
async def test_a_session_ends_with_its_user_or_password(house: House, change: str) -> None:
    await house.log_in("ann")
    arguments = ("ann", "another hash") if change == "change_password" else ("ann",)
    await getattr(house.accounts, change)(*arguments)
    assert (await house.ask("GET", "/runs", headers=JSON)).status == 401


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", '"; drop'])
async def test_a_cookie_that_was_made_up_is_no_session(house: House, cookie: str) -> None:
    headers = JSON | {"Cookie": f"{COOKIE}={cookie}"}
    assert (await house.ask("GET", "/runs", headers=headers)).status == 401


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong horse"), ("nobody", PASSWORD)])
async def test_a_failed_login_tells_not_what_was_wrong(house: House, name: str, password: str) -> None:
    answer = await house.log_in(name, password, next="/runs")
    page = await answer.text()
    assert answer.status == 401 and "The name or the password is wrong" in page
    assert 'value="/runs"' in page and password not in page and COOKIE not in answer.cookies
    fields = {"name": name, "password": password}
    told = await house.ask("POST", "/login", data=fields, headers=JSON)
    assert (told.status, (await told.json())["code"]) == (401, "login_failed")


async def test_who_guesses_too_often_waits(house: House) -> None:
    for _ in range(MAX_FOR_NAME):
        assert (await house.log_in("ann", "wrong horse")).status == 401
    answer = await house.log_in("ann", PASSWORD)
    assert answer.status == 429 and 0 < int(answer.headers["Retry-After"]) <= 900
    assert COOKIE not in answer.cookies and "try again in" in await answer.text()
    fields = {"name": "ann", "password": PASSWORD}
    told = await house.ask("POST", "/login", data=fields, headers=JSON)
    assert (told.status, (await told.json())["code"]) == (429, "too_many_tries")
    assert (await house.log_in("vic")).status == 303


async def guess(house: House, name: str, forwarded: str) -> int:
    fields = {"name": name, "password": "wrong horse"}
    headers = JSON | {"X-Forwarded-For": forwarded}
    return int((await house.ask("POST", "/login", data=fields, headers=headers)).status)


async def test_behind_a_trusted_proxy_each_client_has_its_own_tries(open_house: OpenHouse) -> None:
    house = await open_house(Exposure(trusted_proxies=networks("127.0.0.1")))
    for n in range(MAX_FROM_ADDRESS):
        assert await guess(house, f"name{n}", "203.0.113.1") == 401
    assert await guess(house, "another", "203.0.113.1") == 429
    assert await guess(house, "another", "203.0.113.2") == 401
    assert (await house.log_in("ann")).status == 303, "nor is the proxy's own address used up"


async def test_what_a_client_writes_before_its_address_makes_it_nobody_else(
    open_house: OpenHouse,
) -> None:
    house = await open_house(Exposure(trusted_proxies=networks("127.0.0.1")))
    for n in range(MAX_FROM_ADDRESS):
        assert await guess(house, f"name{n}", f"198.51.100.{n}, 203.0.113.1") == 401
    assert await guess(house, "another", "198.51.100.99, 203.0.113.1") == 429
    assert await guess(house, "another", "198.51.100.1") == 401, "nor is it used up for others"


async def test_who_is_no_trusted_proxy_stays_the_one_it_is(open_house: OpenHouse) -> None:
    house = await open_house(Exposure(trusted_proxies=networks("127.0.0.2")))
    for n in range(MAX_FROM_ADDRESS):
        assert await guess(house, f"name{n}", f"203.0.113.{n}") == 401
    assert await guess(house, "another", "203.0.113.99") == 429


@pytest.mark.parametrize(
    "after",
    [
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "/\n/evil.example",
        "evil.example",
        "javascript:alert(1)",
        "",
        "/ \r\nSet-Cookie: a=b",
    ],
)
async def test_a_login_leads_to_no_other_site(house: House, after: str) -> None:
    assert (await house.log_in(next=after)).headers["Location"] == "/"
    login = await house.ask("GET", "/login", params={"next": after}, headers=BROWSER)
    assert 'name="next" value="/"' in await login.text()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"name": "ann"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"name=" + b"x" * login.FORM_LIMIT),
        ("application/x-www-form-urlencoded; charset=none", b"name=x"),
        ("application/x-www-form-urlencoded", b"name=\xff&password=\xff"),
    ],
)
async def test_what_is_no_login_form_is_a_bad_request(house: House, content_type: str, body: bytes) -> None:
    headers = JSON | {"Content-Type": content_type}
    answer = await house.ask("POST", "/login", data=body, headers=headers)
    assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")


async def test_a_form_that_does_not_arrive_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "FORM_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
    writer.write(
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=ann"
    )
    assert b"400 Bad Request" in await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    await writer.wait_closed()


async def test_a_stream_asks_again_who_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "REAUTHENTICATE_AFTER", 0.3)
    await house.log_in("ann")
    path = (await house.send()).headers["Location"] + "/stream"
    async with asyncio.timeout(30):
        told = await (await house.ask("GET", path)).text()
    assert "event: progress" in told and "event: end" not in told
    await house.accounts.remove_user("ann")
    assert (await house.ask("GET", path)).status == 401


async def test_while_nobody_can_tell_who_may_in_nobody_may(house: House) -> None:
    await house.log_in("ann")
    token, _ = await house.accounts.add_token("ci", Role.OPERATOR, 1)
    house.accounts.away = DatabaseUnavailable("The database cannot be reached: gone")
    for headers in (JSON, JSON | {"Authorization": f"Bearer {token}"}):
        answer = await house.ask("GET", "/runs", headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (503, "database_unavailable")
    page = await house.ask("GET", "/", headers=BROWSER)
    assert page.status == 503 and "The database cannot be reached" in await page.text()
    assert (await house.send()).status == 503
    assert (await house.log_in("ann")).status == 503
    house.accounts.away = None
    assert (await house.ask("GET", "/runs", headers=JSON)).status == 200


async def test_what_a_visitor_saw_stays_in_no_shared_cache(house: House) -> None:
    await house.log_in("vic")
    for path in ("/runs", "/nothing"):
        assert (await house.ask("GET", path)).headers["Cache-Control"] == "private, no-cache"
    assert (await house.ask("GET", "/login")).headers["Cache-Control"] == "no-store"


async def test_without_users_there_is_no_login(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[Client]]
) -> None:
    broker, ledger = FakeBroker(), FakeLedger()
    runs = Runs(ledger, FakeConsumer(broker, ledger), broker.open_publisher, Uploads(tmp_path, 1, 1), 1)
    client = await aiohttp_client(make_app(Services(runs=runs, ledger=ledger, probes={})))  # type: ignore[arg-type]
    assert (await client.get("/login")).status == 404
    assert "Log out" not in await (await client.get("/")).text()
