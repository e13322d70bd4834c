"""What holds whoever asks: which names the server answers to, other sites' pages, headers, open exposure."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from yarl import URL

from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.queue.runs import Runs
from promise_pub.errors import CannotListen, ConfigurationError
from promise_pub.http import security
from promise_pub.http.security import LOOPBACK, Exposure, answers_to, is_cross_site, resolve_exposure
from promise_pub.settings.casts import networks
from promise_pub.settings.model import ServerSettings
from promise_pub.web.server import Services, make_app
from tests import listening
from tests.fakes import FakeBroker, FakeConsumer, FakeLedger

Client = TestClient[web.Request, web.Application]
OpenSite = Callable[..., Awaitable[Client]]
JSON = {"Accept": "application/json"}
CSV = JSON | {"Content-Type": "text/csv"}
BEYOND = Exposure(loopback=False)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def open_site(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> OpenSite:
    """The application among fakes; runs are not taken up, so what is sent waits."""

    async def start(exposure: Exposure = LOOPBACK) -> Client:
        broker, ledger = FakeBroker(), FakeLedger()
        uploads = Uploads(tmp_path, limit=1000, keep_days=30)
        uploads.prepare()
        consumer = FakeConsumer(broker, ledger)
        runs = Runs(ledger, consumer, broker.open_publisher, uploads, 2)
        return await aiohttp_client(make_app(Services(runs=runs, ledger=ledger, probes={}, exposure=exposure)))  # type: ignore[arg-type]

    return start


async def send(site: Client, **headers: str) -> Any:
    prefer = {"Prefer": "respond-async"}
    return await site.post("/simulate/?mode=batch", data=b"a,b\n", headers=CSV | prefer | headers)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST.:9", True),
        ("127.0.0.1:8000", True),
        ("127.8.9.1", True),
        ("[::1]:8000", True),
        ("promise.example:443", True),
        ("Promise.Example", True),
        ("other.example", False),
        ("evil.promise.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.0.2.7:8000", False),
        ("0.0.0.0:8000", False),
        ("[::ffff:192.0.2.7]", False),
        ("localhost@evil.example", False),
        ("localhost:8000:1", False),
        ("", False),
    ],
)
def test_on_loopback_only_its_own_names_are_answered(host: str, ours: bool) -> None:
    exposure = Exposure(hosts=frozenset({"promise.example"}))
    assert answers_to(host, exposure, "127.0.0.1") is ours


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("promise.example:8000", True),
        ("192.0.2.7:8000", True),
        ("192.0.2.8:8000", False),
        ("localhost:8000", False),
        ("other.example", False),
    ],
)
def test_beyond_loopback_the_named_hosts_and_the_address_itself_are_answered(host: str, ours: bool) -> None:
    named = Exposure(loopback=False, hosts=frozenset({"promise.example"}))
    assert answers_to(host, named, "192.0.2.7") is ours
    assert answers_to(host, BEYOND, "192.0.2.7"), "without hosts, any name is"


async def test_a_name_that_was_bent_to_the_server_is_misdirected(open_site: OpenSite) -> None:
    site = await open_site()
    answer = await site.get("/runs", headers=JSON | {"Host": "rebound.example:8000"})
    problem = await answer.json()
    assert (answer.status, problem["code"]) == (421, "wrong_host")
    assert "rebound.example" in problem["detail"]


async def test_the_address_a_connection_came_to_is_a_host_of_ours(open_site: OpenSite) -> None:
    site = await open_site(Exposure(loopback=False, hosts=frozenset({"promise.example"})))
    assert (await site.get("/runs")).status == 200
    assert (await site.get("/runs", headers={"Host": "127.0.0.2"})).status == 421


@pytest.mark.parametrize("host", ["10.0.0.5:8411", "promise.svc.cluster.local", "", "?!"])
@pytest.mark.parametrize("exposure", [LOOPBACK, Exposure(loopback=False, hosts=frozenset({"a.example"}))])
async def test_a_health_check_is_answered_by_any_name_and_nothing_else_is(
    open_site: OpenSite, exposure: Exposure, host: str
) -> None:
    site = await open_site(exposure)
    headers = JSON | {"Host": host}
    for path in ("/healthz", "/readyz"):
        assert (await site.get(path, headers=headers)).status == 200
        assert (await site.head(path, headers=headers)).status == 200
    for method, path in (
        ("POST", "/healthz"),
        ("GET", "/healthz/"),
        ("GET", "/healthz/../runs"),
        ("GET", "/metrics"),
        ("GET", "/login"),
        ("GET", "/static/style.css"),
        ("GET", "/"),
    ):
        answer = await site.request(method, URL(path, encoded=True), headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (421, "wrong_host"), path


@pytest.mark.parametrize(
    ("headers", "crosses"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8000"}, True),
        ({"Sec-Fetch-Site": "whatever"}, True),
        ({"Origin": "http://localhost:8000"}, False),
        ({"Origin": "https://LOCALHOST:8000"}, False),
        ({"Origin": "http://localhost:8001"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "localhost:8000"}, True),
    ],
)
def test_a_page_of_another_site_is_told_by_its_headers(headers: dict[str, str], crosses: bool) -> None:
    headers = {"Host": "localhost:8000"} | headers
    assert is_cross_site("POST", headers) is crosses
    assert is_cross_site("DELETE", headers) is crosses
    assert not is_cross_site("GET", headers)
    assert not is_cross_site("HEAD", headers)


async def test_another_sites_page_starts_no_run(open_site: OpenSite) -> None:
    site = await open_site()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await send(site, **headers)
        assert (answer.status, (await answer.json())["code"]) == (403, "cross_site")
        assert not (await (await site.get("/runs", headers=JSON)).json())
    assert (await send(site)).status == 202, "curl tells nothing, and may"
    assert (await send(site, **{"Sec-Fetch-Site": "same-origin"})).status == 202


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/static/style.css", 200),
        ("GET", "/static/none.css", 404),
        ("GET", "/none", 404),
        ("GET", "/runs?format=none", 400),
        ("DELETE", "/", 405),
        ("GET", "/healthz", 200),
    ],
)
async def test_every_answer_keeps_browsers_within_bounds(
    open_site: OpenSite, method: str, path: str, status: int
) -> None:
    answer = await (await open_site()).request(method, path)
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers


async def test_an_expectation_that_fails_is_answered_within_bounds_too(open_site: OpenSite) -> None:
    site = await open_site()
    security.render_malformed_requests(site.server.runner)  # type: ignore[attr-defined]
    answer = await site.get("/", headers={"Expect": "miracles"})
    assert answer.status == 417 and "Content-Security-Policy" in answer.headers
    assert (await answer.json())["code"] == "http_417"


async def test_what_is_no_http_is_answered_within_bounds_too(open_site: OpenSite) -> None:
    site = await open_site()
    security.render_malformed_requests(site.server.runner)  # type: ignore[attr-defined]
    reader, writer = await asyncio.open_connection(site.host, site.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n")
    answer = (await asyncio.wait_for(reader.read(), 30)).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith("HTTP/1.0 400")
    head, _, body = answer.partition("\r\n\r\n")
    assert "Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "http_400")
    assert problem["advice"].endswith(".")
    assert f"Content-Length: {len(body.encode())}\r\n" in head
    for name, value in security.HEADERS.items():
        assert f"{name}: {value}\r\n" in answer


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"GET /none HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\n", 417),
        (b"GET / HTTP/1.1\r\nno header\r\n", 400),
        (b"no request\r\n", 400),
    ],
)
async def test_no_answer_names_a_version(tmp_path: Path, asked: bytes, status: int) -> None:
    async with listening.site(tmp_path) as there:
        raw = await there.raw(asked + b"\r\n")
        head = await raw.until(b"\r\n\r\n")
        await raw.close()
    assert b" %d " % status in head.partition(b"\r\n")[0]
    assert re.findall(rb"\r\nServer: (.*)\r", head) == [b"promise-pub"]


def test_https_is_told_to_stay_and_plain_http_from_elsewhere_keeps_its_origin() -> None:
    assert "Strict-Transport-Security" in security.headers_of(Exposure(tls=True))
    assert security.headers_of(Exposure(loopback=False, tls=True))["Referrer-Policy"] == "no-referrer"
    assert security.headers_of(BEYOND)["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
async def test_loopback_needs_no_login(host: str) -> None:
    assert (await resolve_exposure(ServerSettings(host=host))).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "::ffff:192.0.2.7"])
async def test_beyond_loopback_nobody_is_let_in_without_a_login(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[server\] auth: must be users"):
        await resolve_exposure(ServerSettings(host=host))
    exposure = await resolve_exposure(ServerSettings(host=host, auth="users", hosts=("a.example",)))
    assert exposure == Exposure(loopback=False, hosts=frozenset({"a.example"}))


async def test_only_proxies_that_are_named_are_trusted() -> None:
    named = networks("127.0.0.1, 10.0.0.0/8")
    assert (await resolve_exposure(ServerSettings(trusted_proxies=named))).trusted_proxies == named
    assert (await resolve_exposure(ServerSettings())).trusted_proxies == LOOPBACK.trusted_proxies == ()


async def test_a_host_with_one_address_beyond_loopback_is_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def addresses(_: str) -> set[str]:
        return {"127.0.0.1", "192.0.2.7"}

    monkeypatch.setattr(security, "_addresses", addresses)
    with pytest.raises(ConfigurationError):
        await resolve_exposure(ServerSettings(host="both.example"))


async def test_a_host_that_nobody_knows_cannot_be_listened_on() -> None:
    for host in ("none.invalid", "x" * 64 + ".invalid"):
        with pytest.raises(CannotListen, match="Cannot listen on"):
            await resolve_exposure(ServerSettings(host=host))
