"""The consumer client against a real HTTP server that answers as each test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from promise_pub import errors
from promise_pub.delivery.consumer_client import client
from promise_pub.delivery.consumer_client.answers import MAX_RANGES
from promise_pub.delivery.consumer_client.client import ConsumerClient, open_consumer
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.parameters import Mode
from promise_pub.records import SessionView
from promise_pub.retries import Backoff
from promise_pub.settings.model import ConsumerSettings

Handler = Callable[[web.Request], Awaitable[web.Response]]
SESSION = {"uuid": "u-1", "started": "2026-01-01T00:00:00Z", "checksum": 7, "saved": 5, "host": "h"}


def text(body: str, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, status=status)

    return answer


async def hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def hang_up(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def consumer(
    *, impatient: bool | None = None, backoff: Backoff = BACKOFFS.consumer, **handlers: Handler
) -> AsyncIterator[ConsumerClient]:
    """A client of a server with these handlers, by call.

    Where nothing that hangs is among them, their answers are awaited for longer than a machine stands still.
    """
    if impatient is None:
        impatient = hang in handlers.values()
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with open_consumer(settings(runner.addresses[0][1], impatient), backoff) as opened:
            yield opened
    finally:
        await runner.cleanup()


def settings(port: int, impatient: bool = False) -> ConsumerSettings:
    answer, stall = (0.5, 1) if impatient else (20, 20)
    return ConsumerSettings(
        host="127.0.0.1",
        port=port,
        connect_timeout=5,
        answer_timeout=answer,
        stall_timeout=stall,
    )


def ignore(_: SessionView) -> None:
    """Nobody watches."""


CALLS: dict[str, Callable[[ConsumerClient], Awaitable[Any]]] = {
    "create": lambda c: c.create(),
    "process": lambda c: c.process("u-1", Mode.LIVE, 5, None, ignore),
    "remove": lambda c: c.remove("u-1", 5, 7, ignore),
    "getSession": lambda c: c.get_session("u-1"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (text("ERROR"), errors.ConsumerComplaint),
        (text("Not a valid uuid"), errors.ConsumerComplaint),
        (text(""), errors.ConsumerComplaint),
        (text("boom", 500), errors.ConsumerRefused),
        (text("moved", 302), errors.ConsumerRefused),
        (text("x" * 2_000_000), errors.ConsumerGarbage),
        (hang_up, errors.ConsumerUnreachable),
    ],
    ids=["ERROR", "complaint", "nothing", "500", "redirect", "endless", "hangs up"],
)
async def test_a_bad_answer_to_each_call_raises_its_own_error(
    call: str, handler: Handler, kind: type[Exception]
) -> None:
    async with consumer(backoff=replace(BACKOFFS.consumer, within=0.3), **{call: handler}) as opened:
        with pytest.raises(kind) as caught:
            await CALLS[call](opened)
    assert f"/{call}/" in str(caught.value) or "cannot be reached" in str(caught.value)


@pytest.mark.parametrize("call", ["create", "remove", "getSession"])
@pytest.mark.parametrize(
    "told",
    [
        [],
        "u-1",
        {"uuid": 7},
        {"uuid": "u-1", "checksum": "7"},
        {"uuid": "u-1", "saved": -1},
        {"uuid": "u-1", "saved": True},
        {"uuid": "u-1", "checksum": 1e99},
    ],
    ids=str,
)
async def test_json_that_is_no_session_is_garbage(call: str, told: object) -> None:
    async with consumer(**{call: text(json.dumps(told))}) as opened:
        with pytest.raises(errors.ConsumerGarbage):
            await CALLS[call](opened)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize("call", ["create", "remove", "getSession"])
async def test_a_session_is_taken_with_any_status_of_success(call: str, status: int) -> None:
    async with consumer(**{call: text(json.dumps(SESSION), status)}) as opened:
        assert await CALLS[call](opened) == SessionView("u-1", 7, 5)


@pytest.mark.parametrize("call", ["create", "remove", "getSession"])
async def test_whole_numbers_may_be_written_as_floats_after_a_byte_order_mark(call: str) -> None:
    told = "\ufeff" + json.dumps(SESSION | {"checksum": 7.0, "saved": 5.0})
    async with consumer(**{call: text(told)}) as opened:
        session = await CALLS[call](opened)
    assert session == SessionView("u-1", 7, 5) and isinstance(session.saved, int)


@pytest.mark.parametrize("number", ["7.5", "-1.0", "1e19", "NaN", "Infinity"])
async def test_other_numbers_are_no_counts(number: str) -> None:
    async with consumer(getSession=text(f'{{"uuid": "u-1", "saved": {number}}}')) as opened:
        with pytest.raises(
            errors.ConsumerGarbage, match="for saved, which is not a count|is no number that can be used"
        ):
            await opened.get_session("u-1")


MADE = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (f'{{"uuid": "{MADE}"}}', 500, MADE),
        (f'{{"uuid": "{MADE}", "checksum": "7"}}', 200, MADE),
        (f'{{"uuid": "{MADE}", "checksum": 0.5, "id": "{OTHER}"}}', 200, MADE),
        (f'[{{"uuid": "{MADE}"}}]', 200, MADE),
        (f'{{"session": {{"uuid": "{MADE}"}}}}', 200, MADE),
        (f'{{"uuid": "{MADE}", "checksum": 0', 200, MADE),
        (f'{{"uuid": "{MADE}", "more": "' + "x" * 2_000_000, 200, MADE),
        ('{"uuid": 7}', 200, "7"),
        ('{"uuid": "a\\"b", "saved": -1}', 200, 'a"b'),
        (f'{{"uuid": "{"x" * 256}"}}', 200, "x" * 256),
        (f"created session {MADE.upper()}", 200, MADE.upper()),
        (f'"{MADE}"', 201, MADE),
    ],
)
async def test_a_bad_answer_to_create_keeps_the_session_that_it_names(body: str, status: int, named: str) -> None:
    async with consumer(create=text(body, status)) as opened:
        with pytest.raises(errors.ConsumerError) as caught:
            await opened.create()
    assert caught.value.last == SessionView(named)
    assert not caught.value.unanswered


A_PAGE = f"<html><h1>504 Gateway Time-out</h1><p>Ray {OTHER}</p></html>"


@pytest.mark.parametrize(
    ("body", "status", "unanswered"),
    [
        # Behind a proxy somebody was asked.
        (A_PAGE, 504, True),
        ("Gateway Time-out", 504, True),
        ("", 502, True),
        # A success has most likely made one.
        ('{"session": "q-17"}', 201, True),
        ('{"id": "q-17"}', 200, True),
        (f'{{"id": "{MADE}"}}', 200, True),
        ('{"session": {"id": "q-1', 200, True),
        ("[]", 200, True),
        ("{}", 200, True),
        ("", 200, True),
        (" \n", 200, True),
        ('{"uuid": ""}', 200, True),
        ('{"uuid": "\\ud800"}', 200, True),
        ('{"uuid": "\\x"}', 200, True),
        (f'{{"uuid": "{"x" * 1001}"}}', 200, True),  # the message shows its beginning
        # A failure speaks of something: of a session, or of a request.
        (f'{{"error": "x", "requestId": "{OTHER}"}}', 500, True),
        (f"{MADE} could not be stored", 500, True),
        # Nobody made one.
        ("ERROR", 200, False),
        (f"{MADE} instead of {OTHER}", 200, False),  # who knows which
        (f"<html>Request {OTHER}</html>", 200, False),
        (f'{{"error": "x", "requestId": "{OTHER}"}}', 400, False),
        ("boom", 500, False),
        ("{}", 500, False),
        ("", 503, False),
    ],
)
async def test_a_bad_answer_to_create_that_names_no_session_is_told_where_it_may_have_made_one(
    body: str, status: int, unanswered: bool
) -> None:
    async with consumer(create=text(body, status)) as opened:
        with pytest.raises(errors.ConsumerError) as caught:
            await opened.create()
    assert caught.value.last is None
    assert caught.value.unanswered is unanswered


async def test_an_answer_to_create_that_breaks_off_keeps_the_session_that_it_names() -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(json.dumps(SESSION).encode())
        assert request.transport
        request.transport.close()
        return response

    async with consumer(create=break_off) as opened:  # type: ignore[arg-type]
        with pytest.raises(errors.ConsumerUnreachable) as caught:
            await opened.create()
    assert caught.value.last == SessionView("u-1")


async def test_an_answer_without_end_that_names_no_session_leaves_open_whether_there_is_one() -> None:
    async with consumer(create=text("x" * 2_000_000)) as opened:
        with pytest.raises(errors.ConsumerGarbage) as caught:
            await opened.create()
    assert caught.value.unanswered


async def test_an_answer_about_another_session_is_none() -> None:
    other = json.dumps(SESSION | {"uuid": "another"})
    async with consumer(getSession=text(other), remove=text(other)) as opened:
        for call in ("getSession", "remove"):
            with pytest.raises(errors.ConsumerGarbage, match=f"/{call}/ answered about session 'another', not u-1"):
                await CALLS[call](opened)
        seen: list[SessionView] = []
        assert not await opened.abandon("u-1", 7, seen.append, 20.0)
        assert not seen


@pytest.mark.parametrize("uuid", ["U-1", None])
async def test_an_answer_may_leave_the_uuid_out_or_write_it_in_capitals(uuid: str | None) -> None:
    async with consumer(remove=text(json.dumps(SESSION | {"uuid": uuid}))) as opened:
        assert await opened.remove("u-1", 5, 7, ignore) == SessionView("u-1", 7, 5)


@pytest.mark.parametrize("uuid", ["", "x" * 256, None, "\ud800", "u\0"])
async def test_a_session_whose_uuid_cannot_name_a_queue_is_garbage(uuid: str | None) -> None:
    async with consumer(create=text(json.dumps({"uuid": uuid} if uuid is not None else {}))) as opened:
        with pytest.raises(errors.ConsumerGarbage):
            await opened.create()


async def test_missing_counts_are_not_told_and_never_zero() -> None:
    async with consumer(getSession=text('{"uuid": "u-1", "saved": null, "unknown": 1}')) as opened:
        assert await opened.get_session("u-1") == SessionView("u-1", None, None, None, None)


async def test_the_extensions_are_read_where_they_are_told() -> None:
    told = SESSION | {"duplicates": 2, "invalid": 0}
    async with consumer(getSession=text(json.dumps(told))) as opened:
        assert await opened.get_session("u-1") == SessionView("u-1", 7, 5, 2, 0)


LISTS = ("rows", "duplicate_rows", "invalid_rows")


async def test_lists_of_rows_are_read_where_they_are_told() -> None:
    told = SESSION | {"rows": "1-7", "duplicate_rows": "3,5", "invalid_rows": ""}
    async with consumer(getSession=text(json.dumps(told))) as opened:
        session = await opened.get_session("u-1")
    assert [getattr(session, name) for name in LISTS] == ["1-7", "3,5", ""]


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize(
    "bad", [7, None, ["1-2"], "5-3", "1-5,3-9", "1, 2", "one", "1-", ",".join(map(str, range(1, 30_000, 2)))], ids=repr
)
async def test_what_is_no_list_of_rows_is_ignored_and_spoils_nothing_else(key: str, bad: object) -> None:
    told = {"uuid": "u-1", "checksum": 7, **dict.fromkeys(LISTS, "2-4"), key: bad}
    async with consumer(getSession=text(json.dumps(told))) as opened:
        session = await opened.get_session("u-1")
    assert session.received == 7
    assert [getattr(session, name) for name in LISTS] == [None if name == key else "2-4" for name in LISTS]


async def test_as_many_ranges_as_the_bundled_consumer_tells_are_believed() -> None:
    most = ",".join(f"{row}-{row + 1}" for row in range(10**6, 10**6 + 30_000, 3))
    async with consumer(getSession=text(json.dumps(SESSION | dict.fromkeys(LISTS, most)))) as opened:
        session = await opened.get_session("u-1")
    assert most.count(",") == MAX_RANGES - 1
    assert [getattr(session, name) for name in LISTS] == [most] * 3


@pytest.mark.parametrize("call", ["create", "process", "getSession"])
async def test_a_short_call_that_hangs_ends_with_the_answer_timeout(call: str) -> None:
    async with consumer(**{call: hang}) as opened:
        with pytest.raises(errors.ConsumerTimeout, match=r"within 0\.5 s"):
            await CALLS[call](opened)


async def test_a_refused_connection_is_unreachable_and_names_the_place(
    unused_tcp_port: int,
) -> None:
    async with open_consumer(settings(unused_tcp_port), BACKOFFS.consumer) as opened:
        with pytest.raises(errors.ConsumerUnreachable, match=f"127.0.0.1:{unused_tcp_port}"):
            await opened.healthcheck()


async def test_a_host_that_does_not_exist_is_unreachable() -> None:
    nowhere = replace(settings(1), host="no-such-host.invalid")
    async with open_consumer(nowhere, BACKOFFS.consumer) as opened:
        with pytest.raises(errors.ConsumerUnreachable):
            await opened.create()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"AMQP\x00\x00\x09\x01", "/create/ answered in AMQP, as a broker does, not in HTTP$"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "/create/ did not answer in HTTP: Bad status line$"),
    ],
)
async def test_an_answer_that_is_not_http_is_garbage(answer: bytes, words: str) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server, open_consumer(settings(server.sockets[0].getsockname()[1]), BACKOFFS.consumer) as opened:
        with pytest.raises(errors.ConsumerGarbage, match=words):
            await opened.create()


async def test_create_is_asked_once_even_if_the_connection_breaks() -> None:
    asked = 0

    async def break_off(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return await hang_up(request)

    async with consumer(create=break_off, healthcheck=text("fine")) as opened:
        await opened.healthcheck()
        with pytest.raises(errors.ConsumerUnreachable):
            await opened.create()
    assert asked == 1


async def test_live_processing_must_answer_exactly_ok() -> None:
    async with consumer(process=text("OKAY")) as opened:
        with pytest.raises(errors.ConsumerComplaint, match="OKAY"):
            await CALLS["process"](opened)
    async with consumer(process=text("OK\n")) as opened:
        await CALLS["process"](opened)


class Slow:
    """A call that takes until told, and a session that moves meanwhile."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.finish = asyncio.Event()
        self.asked = asyncio.Event()
        self.queries: list[dict[str, str]] = []
        self.received = 0
        self.step = 1

    async def call(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        self.asked.set()
        await self.finish.wait()
        return web.Response(text=self.answer)

    async def look(self, _: web.Request) -> web.Response:
        self.received += self.step
        return web.json_response({"uuid": "u-1", "checksum": self.received, "saved": 0})


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "POLL_EVERY", 0.05)


async def test_a_long_call_outlives_the_answer_timeout_while_the_session_moves(
    look_often: None,
) -> None:
    slow, seen = Slow("OK"), list[SessionView]()

    def watch(session: SessionView) -> None:
        seen.append(session)
        if len(seen) == 30:  # a second and a half: three times the answer timeout, longer than the stall timeout
            slow.finish.set()

    async with consumer(impatient=True, process=slow.call, getSession=slow.look) as opened:
        await opened.process("u-1", Mode.BATCH, 0, 40, watch)
    assert slow.queries == [{"uuid": "u-1", "timeout": "0", "mode": "batch", "sent": "40"}]
    assert [session.received for session in seen[:3]] == [1, 2, 3]


@pytest.mark.parametrize("look", ["still", "broken", "hanging"])
async def test_a_long_call_whose_session_stands_still_is_stalled(look_often: None, look: str) -> None:
    slow = Slow("never")
    slow.step = 0
    looks = {"still": slow.look, "broken": text("boom", 500), "hanging": hang}
    async with consumer(impatient=True, remove=slow.call, getSession=looks[look]) as opened:
        with pytest.raises(errors.ConsumerStalled) as caught:
            await opened.remove("u-1", 0, 40, ignore)
    assert caught.value.last == (SessionView("u-1", 0, 0) if look == "still" else None)
    assert slow.queries == [{"uuid": "u-1", "sent": "40"}]


async def test_the_answer_of_a_long_call_counts_though_looking_fails(look_often: None) -> None:
    slow = Slow(json.dumps(SESSION))
    asyncio.get_running_loop().call_later(0.3, slow.finish.set)
    async with consumer(remove=slow.call, getSession=text("Not a valid uuid")) as opened:
        assert await opened.remove("u-1", 5, 7, ignore) == SessionView("u-1", 7, 5)


@pytest.mark.parametrize(
    ("handler", "done"),
    [
        (text(json.dumps(SESSION)), True),
        (text("ERROR"), False),
        (text("boom", 500), False),
        (hang, False),
    ],
    ids=["session", "ERROR", "500", "hangs"],
)
async def test_abandoning_never_raises_and_tells_whether_it_worked(handler: Handler, done: bool) -> None:
    async with consumer(remove=handler) as opened:
        assert await opened.abandon("u-1", 3, ignore, 1.0) is done


async def test_cancelling_a_long_call_hangs_up_on_the_consumer(look_often: None) -> None:
    slow = Slow("OK")
    async with consumer(process=slow.call, getSession=slow.look) as opened:
        call = asyncio.create_task(opened.process("u-1", Mode.BATCH, 5, 1, ignore))
        await slow.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(asyncio.all_tasks()) < 10
