"""Calls that may be repeated are, while nobody is there to answer them; and no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from promise_pub import errors
from promise_pub.delivery.consumer_client import client
from promise_pub.delivery.consumer_client.client import ConsumerClient, open_consumer
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.parameters import Mode
from tests.integration.test_client import CALLS, SESSION, Handler, consumer, hang, hang_up, ignore, settings, text

REPEATED: dict[str, tuple[Callable[[ConsumerClient], Awaitable[Any]], str]] = {
    "process": (CALLS["process"], "OK"),
    "process in batch": (lambda c: c.process("u-1", Mode.BATCH, 5, 7, ignore), "OK"),
    "remove": (CALLS["remove"], json.dumps(SESSION)),
    "getSession": (CALLS["getSession"], json.dumps(SESSION)),
}


class Flaky:
    """Hangs up on the first callers, and then answers."""

    def __init__(self, losses: int, answer: Handler) -> None:
        self.asked = 0
        self._losses = losses
        self._answer = answer

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        return await (hang_up if self.asked <= self._losses else self._answer)(request)


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("losses", [1, 3])
async def test_a_consumer_that_hangs_up_is_asked_again(name: str, losses: int) -> None:
    call, answer = REPEATED[name]
    flaky = Flaky(losses, text(answer))
    async with consumer(**{name.split()[0]: flaky.handle}) as opened, asyncio.timeout(30):
        await call(opened)
    assert flaky.asked == losses + 1


@pytest.mark.parametrize("name", REPEATED)
async def test_a_consumer_that_comes_up_late_is_waited_for(name: str, unused_tcp_port: int) -> None:
    call, answer = REPEATED[name]
    app = web.Application()
    app.router.add_get(f"/{name.split()[0]}/", text(answer))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        async with open_consumer(settings(unused_tcp_port), BACKOFFS.consumer) as opened, asyncio.timeout(30):
            calling = asyncio.ensure_future(call(opened))
            await asyncio.sleep(0.2)
            assert not calling.done()
            await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
            await calling
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", REPEATED)
async def test_patience_has_an_end(name: str) -> None:
    flaky = Flaky(1000, hang)
    async with (
        consumer(backoff=replace(BACKOFFS.consumer, within=0.3), **{name.split()[0]: flaky.handle}) as opened,
        asyncio.timeout(30),
    ):
        with pytest.raises(errors.ConsumerUnreachable):
            await REPEATED[name][0](opened)
    assert 1 < flaky.asked < 20


IMPATIENT = replace(BACKOFFS.consumer, within=0.1)
LONG_CALLS: dict[str, Callable[[ConsumerClient], Awaitable[Any]]] = {
    "process": lambda c: c.process("u-1", Mode.BATCH, 0, 7, ignore),
    "remove": lambda c: c.remove("u-1", 0, 7, ignore),
}


class HoldsAndHangsUp:
    """Takes each call, and hangs up on it a while later; the session's count grows by `growth` with each."""

    def __init__(self, growth: int) -> None:
        self.asked = 0
        self._growth = growth

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(0.2)
        return await hang_up(request)

    async def session(self, _: web.Request) -> web.Response:
        return web.json_response(SESSION | {"checksum": self.asked * self._growth})


@pytest.mark.parametrize("name", LONG_CALLS)
async def test_calls_that_hold_and_break_end_when_no_count_moves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each held for longer than one that is away is waited for: so they are news, and no progress."""
    monkeypatch.setattr(client, "POLL_EVERY", 0.02)
    breaking = HoldsAndHangsUp(growth=0)
    handlers = {name: breaking.handle, "getSession": breaking.session}
    async with consumer(impatient=True, backoff=IMPATIENT, **handlers) as opened, asyncio.timeout(60):
        with pytest.raises(errors.ConsumerStalled, match="no count changed"):
            await LONG_CALLS[name](opened)
    assert breaking.asked > 1


@pytest.mark.parametrize("name", LONG_CALLS)
async def test_calls_that_hold_and_break_go_on_while_counts_move(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "POLL_EVERY", 0.02)
    breaking = HoldsAndHangsUp(growth=1)
    handlers = {name: breaking.handle, "getSession": breaking.session}
    async with consumer(impatient=True, backoff=IMPATIENT, **handlers) as opened, asyncio.timeout(60):
        calling = asyncio.ensure_future(LONG_CALLS[name](opened))
        while breaking.asked < 20 and not calling.done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert not calling.done()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_that_is_an_error_is_not_asked_for_again(call: str) -> None:
    refusing = Flaky(0, text("boom", 500))
    async with consumer(**{call: refusing.handle}) as opened:
        with pytest.raises(errors.ConsumerRefused):
            await CALLS[call](opened)
    assert refusing.asked == 1


@pytest.mark.parametrize(
    ("ended", "well"),
    [("0001-01-01T00:00:00Z", True), ("2026-01-01T00:00:00Z", False), (None, False)],
)
async def test_what_was_taken_and_not_answered_goes_on_if_the_session_says_so(ended: str | None, well: bool) -> None:
    """Asked again, a consumer says that it is at it already."""
    told = json.dumps(SESSION | ({"ended": ended} if ended else {}))
    flaky = Flaky(1, text("The session is processing already"))
    async with consumer(process=flaky.handle, getSession=text(told)) as opened, asyncio.timeout(30):
        if well:
            await CALLS["process"](opened)
        else:
            with pytest.raises(errors.ConsumerComplaint):
                await CALLS["process"](opened)
    assert flaky.asked == 2


async def test_a_look_beside_a_long_call_is_not_repeated() -> None:
    """It may fail, and the call it stands beside has patience of its own."""
    flaky = Flaky(1000, hang)
    seen: list[object] = []
    async with consumer(remove=hang, getSession=flaky.handle) as opened:
        assert not await opened.abandon("u-1", 7, seen.append, 0.2)
    assert flaky.asked == 1 and not seen


@pytest.mark.parametrize("handler", [hang, hang_up], ids=["hangs", "hangs up"])
async def test_a_session_that_may_have_come_to_be_unknown_is_spoken_of(handler: Handler) -> None:
    async with consumer(create=handler) as opened:
        with pytest.raises(errors.ConsumerError) as caught:
            await opened.create()
    assert caught.value.unanswered and caught.value.last is None


async def test_who_was_never_asked_made_none(unused_tcp_port: int) -> None:
    async with open_consumer(settings(unused_tcp_port), BACKOFFS.consumer) as opened:
        with pytest.raises(errors.ConsumerUnreachable) as caught:
            await opened.create()
    assert not caught.value.unanswered
