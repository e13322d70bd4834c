"""The token of `[consumer]`: on every call to the consumer, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from promise_pub import errors
from promise_pub.delivery.consumer_client.client import open_consumer
from promise_pub.parameters import Mode
from promise_pub.records import SessionView
from promise_pub.retries import Backoff
from promise_pub.settings.model import ConsumerSettings

TOKEN = "a-token-of-the-tests"
AT_ONCE = Backoff(first=0.01, longest=0.01, within=0.01)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[int]:
    """The port of a server that answers every path alike."""
    app = web.Application()
    app.router.add_get("/{any:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def call_all(port: int, token: str) -> list[str]:
    """Returns the outcome of each of the five calls: the text of its error, or of its session."""
    told = []
    settings = ConsumerSettings(host="127.0.0.1", port=port, token=token, answer_timeout=5)
    async with open_consumer(settings, AT_ONCE) as client:
        for call in (
            client.healthcheck(),
            client.create(),
            client.process("u-1", Mode.LIVE, 1, None, _ignore),
            client.remove("u-1", 1, 1, _ignore),
            client.get_session("u-1"),
        ):
            try:
                told.append(repr(await call))
            except errors.ConsumerError as error:
                told.append(f"{error} {error.last}")
    return told


def _ignore(_: SessionView) -> None:
    """Nobody watches."""


async def test_every_call_carries_the_token_and_none_does_without_one() -> None:
    sent: list[str | None] = []

    async def note(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Authorization"))
        return web.json_response({"uuid": "u-1"})

    async with answering(note) as port:
        await call_all(port, TOKEN)
        await call_all(port, "")
    assert sent == [f"Bearer {TOKEN}"] * 5 + [None] * 5


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_what_a_consumer_repeats_of_a_call_is_shown_without_the_token(status: int) -> None:
    async def repeat(request: web.Request) -> web.Response:
        return web.Response(text=f"cannot take {dict(request.headers)}", status=status)

    async with answering(repeat) as port:
        told = await call_all(port, TOKEN)
    assert not [text for text in told if TOKEN in text]
    assert all("cannot take" in text for text in told[status == 200 :])
    assert all("Set [consumer] token to the one that this consumer takes." in text for text in told if "401" in text)


async def test_a_port_that_sends_everything_back_shows_no_token() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(next(line for line in request.splitlines(keepends=True) if line.startswith(b"Authorization")))
        writer.write(request)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        told = await call_all(server.sockets[0].getsockname()[1], TOKEN)
    assert not [text for text in told if TOKEN in text]
    assert all("did not answer in HTTP" in text for text in told)


async def test_it_does_not_follow_a_redirect() -> None:
    elsewhere: list[str] = []

    async def note(request: web.Request) -> web.Response:
        elsewhere.append(request.path)
        return web.Response()

    async with answering(note) as other:

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{other}/"})

        async with answering(redirect) as port:
            assert all("status 307" in text for text in await call_all(port, TOKEN))
    assert not elsewhere
