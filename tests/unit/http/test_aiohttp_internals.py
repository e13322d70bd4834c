"""Each private part of aiohttp that the server uses is there, and does what it is used for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from promise_pub.http import aiohttp_internals as internals


class Seen:
    peers: list[object]
    finished: list[int]


@pytest.fixture
async def url(seen: Seen) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        seen.peers.append(internals.peer_name(request))
        assert internals.reached_application(request)
        return web.Response(text="fine")

    async def expect(request: web.Request) -> None:
        """Leaves the answer to the handler."""

    async def take(request: web.Request) -> web.Response:
        await internals.send_continue(request)
        return web.Response(text=str(len(await request.read())))

    async def finish(request: web.BaseRequest, response: web.StreamResponse) -> None:
        seen.finished.append(response.status)
        response.headers["X-Finished"] = "yes"

    app = web.Application()
    app.router.add_get("/", handle)
    app.router.add_post("/", take, expect_handler=expect)
    runner = web.AppRunner(app)
    await runner.setup()
    internals.on_response_before_application(runner, lambda response: b'{"problem": true}', finish)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
def seen() -> Seen:
    made = Seen()
    made.peers, made.finished = [], []
    return made


async def test_the_peer_of_a_request_is_known(url: str, seen: Seen) -> None:
    async with aiohttp.request("GET", url) as answered:
        assert (answered.status, answered.headers["X-Finished"]) == (200, "yes")
    assert seen.peers and seen.peers[0][0] == "127.0.0.1"  # type: ignore[index]


async def test_a_malformed_request_gets_the_body_and_the_headers(url: str, seen: Seen) -> None:
    port = int(url.rstrip("/").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"nothing like HTTP\r\n\r\n")
    answered = (await asyncio.wait_for(reader.read(), 10)).decode()
    assert answered.startswith("HTTP/1.0 400") and answered.endswith('{"problem": true}')
    assert "X-Finished: yes" in answered and "Content-Length: 17" in answered
    assert seen.finished == [400]
    writer.close()


async def test_a_body_that_waits_is_requested_and_is_no_part_of_the_response(url: str) -> None:
    async with aiohttp.request("POST", url, data=b"x" * 5, expect100=True) as answered:
        assert await answered.text() == "5"
        assert answered.headers["Content-Length"] == "1"
