"""What a request leaves behind: its id, a line for it, and the lines of what it set going."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from promise_pub.logs import logging_to
from promise_pub.settings.casts import networks
from tests.listening import site
from tests.web_house import Client, opened

Lines = Callable[[], list[dict[str, Any]]]
HEADER = "X-Request-ID"


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    """What is logged, from info on."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with logging_to(descriptor, logging.INFO, "json") as writer:

        def read() -> list[dict[str, Any]]:
            while not writer._waiting.empty():
                pass
            return [json.loads(line) for line in path.read_text().splitlines()]

        yield read
    os.close(descriptor)


@pytest.mark.parametrize("sent", ["a", "7b0e0a52-0000-4000-8000-000000000000", "Root=1-678-abc:d.e_f/g+h", "x" * 64])
async def test_an_id_that_is_one_is_taken_and_given_back(tmp_path: Path, sent: str) -> None:
    async with site(tmp_path) as there:
        for path in ("healthz", "nothing", "static/style.css"):
            async with there.http.get(there.url / path, headers={HEADER: sent}) as answer:
                assert answer.headers.getall(HEADER) == [sent]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "é", 'a"b', "<script>", "a;b", "a\tb"])
async def test_what_could_be_no_id_is_replaced(tmp_path: Path, sent: str) -> None:
    async with site(tmp_path) as there:
        async with there.http.get(there.url / "healthz", headers={HEADER: sent}) as answer:
            made = answer.headers[HEADER]
        async with there.http.get(there.url / "healthz") as answer:
            assert made != answer.headers[HEADER]
    assert re.fullmatch("[0-9a-f]{16}", made)


async def test_every_application_gives_an_id_back_however_it_is_served(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    async with opened(tmp_path, aiohttp_client) as house:
        answer = await house.client.get("/healthz", headers={HEADER: "q1"})
        assert answer.headers[HEADER] == "q1"


async def test_answers_that_aiohttp_makes_itself_have_one_too(tmp_path: Path, lines: Lines) -> None:
    async with site(tmp_path) as there:
        async with there.http.get(there.url, headers={"Expect": "miracles"}) as answer:
            assert answer.status == 417
            first = answer.headers[HEADER]
        raw = await there.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n")
        broken = await raw.rest()
        await raw.close()
    second = re.search(rb"X-Request-ID: (\w+)\r\n", broken)
    assert second
    answers = [(line["request"], line["status"]) for line in requests(lines)]
    assert answers == [(first, 417), (second[1].decode(), 400)]


def requests(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines() if line["message"] == "Request"]


async def test_every_request_has_one_line_without_its_query(tmp_path: Path, lines: Lines) -> None:
    async with site(tmp_path) as there:
        url = URL(f"{there.url}/healthz?page=1&token=s3cret&q=%0d%0aforged", encoded=True)
        async with there.http.get(url, headers={HEADER: "q1", "User-Agent": "s3cret"}) as answer:
            size = len(await answer.read())
        async with there.http.get(f"{there.url}/nothing%0A2026%1b[2J?s3cret") as answer:
            assert answer.status == 404
    one, other = requests(lines)
    assert one.pop("ms") >= 0 and one.pop("bytes") >= size and one.pop("time")
    assert one == {
        "level": "info",
        "logger": "promise_pub.http.ops.request_log",
        "message": "Request",
        "request": "q1",
        "method": "GET",
        "path": "/healthz",
        "status": 200,
        "client": "127.0.0.1",
    }
    assert (other["status"], other["code"]) == (404, "http_404")
    assert other["path"].startswith("/nothing") and "s3cret" not in str(lines())


@pytest.mark.parametrize(
    ("proxies", "told"),
    [("127.0.0.1", ["203.0.113.1", "2001:db8::1", "127.0.0.1"]), ("127.0.0.2", ["127.0.0.1"] * 3)],
)
async def test_the_client_of_a_line_is_the_one_behind_a_trusted_proxy(
    tmp_path: Path, lines: Lines, proxies: str, told: list[str]
) -> None:
    async with site(tmp_path, trusted_proxies=networks(proxies)) as there:
        for forwarded in (
            "198.51.100.1, 203.0.113.1",
            "[2001:db8::1%eth0]:80",
            "\tforged=1 client=2",
        ):
            headers = {"X-Forwarded-For": forwarded}
            async with there.http.get(there.url / "healthz", headers=headers) as answer:
                assert answer.status == 200
    assert [line["client"] for line in requests(lines)] == told


async def test_what_is_no_http_is_its_peers(tmp_path: Path, lines: Lines) -> None:
    async with site(tmp_path, trusted_proxies=networks("127.0.0.1")) as there:
        raw = await there.raw(b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nno header\r\n\r\n")
        assert (await raw.rest()).startswith(b"HTTP/1.0 400")
        await raw.close()
    assert [(line["status"], line["client"]) for line in requests(lines)] == [(400, "127.0.0.1")]


async def test_the_lines_of_a_request_and_of_a_run_tell_which(tmp_path: Path, lines: Lines) -> None:
    headers = {"Content-Type": "text/csv", "Accept": "application/json", HEADER: "q7"}
    async with site(tmp_path) as there:
        url = f"{there.url}/simulate/?mode=batch&filename=a.csv"
        async with there.http.post(url, data=b"Ann,ann@x\nbad\n", headers=headers) as answer:
            run = await answer.json()
        async with there.http.post(url, data=b"bad\n", headers=headers) as answer:
            assert answer.status == 422
    told = {line["message"]: line for line in lines() if line["logger"] != "promise_pub.http.ops.request_log"}
    queued, started, removed, ended, refused = (
        told[name] for name in ("Run queued", "Run started", "Session removed", "Run ended", "Upload refused")
    )
    assert (queued["request"], queued["run"], queued["file"]) == ("q7", run["id"], "a.csv")
    assert started["run"] == removed["run"] == ended["run"] == run["id"]
    assert (ended["state"], ended["verdict"]) == ("completed", "kept")
    assert (ended["read"], ended["rejected"], ended["confirmed"]) == (2, 1, 1)
    assert removed["session"] == run["session"]["uuid"] == ended["session"]
    assert (refused["code"], refused["request"], refused["bytes"]) == ("no_usable_row", "q7", 4)
    assert [line["code"] for line in requests(lines) if "code" in line] == ["no_usable_row"]
