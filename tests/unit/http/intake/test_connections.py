"""How many connections there may be, and which of them are closed. Each of these fails when its limit is taken away."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from promise_pub.errors import ServerBusy
from promise_pub.http import security
from promise_pub.http.intake import connection, connections
from promise_pub.http.intake.connection import MIN_READ, READ_PERIOD, WatchedConnection
from promise_pub.http.intake.connections import CONNECTIONS, Connections
from promise_pub.http.intake.limits import Limits
from tests.fakes import until
from tests.listening import Raw, Site, site

HEADERS = b"HTTP/1.1\r\nHost: localhost\r\n"
ASK = b"GET /healthz " + HEADERS + b"\r\n"
END = b'{"alive": true}'
SEND = b"POST /simulate/ " + HEADERS + b"Content-Type: text/csv\r\nContent-Length: 10\r\n\r\nAnn,ann@x\n"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_INTERVAL", 0.01)


def count(there: Site) -> int:
    return len(there.app[CONNECTIONS])


def closed(there: Site) -> dict[str, int]:
    """Why how many were."""
    return {why: number for why, number in there.app[CONNECTIONS].closed.items() if number}


async def test_connections_are_counted_and_forgotten(tmp_path: Path) -> None:
    async with site(tmp_path) as there:
        raws = [await there.raw(ASK, until=END) for _ in range(3)]
        assert count(there) == 3
        assert (await there.figures())["promise_pub_http_connections",] == 4
        for raw in raws:
            await raw.close()
        await until(lambda: count(there) == 1)
        assert closed(there) == {}


async def test_where_there_is_no_room_the_one_that_was_idle_longest_makes_it(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, max_connections=3) as there, AsyncExitStack() as stack:
        first, second, third = [await there.raw(ASK, until=END) for _ in range(3)]
        for raw in (first, second, third):
            stack.push_async_callback(raw.close)
        first.writer.write(ASK)  # now the second has been idle longest
        await first.until(END)
        for _ in range(2):
            raw = await there.raw(ASK, until=END)
            stack.push_async_callback(raw.close)
            assert count(there) == 3
        assert await second.rest() == await third.rest() == b""
        first.writer.write(ASK)
        await first.until(END)
        assert closed(there) == {"idle": 2}


async def test_a_request_that_has_come_is_not_dropped_for_a_connection_that_comes_with_it() -> None:
    """Both in one turn of the loop, before the request is looked at."""
    connections = Connections(limits(2), {})
    first, second, third = [WatchedConnection(connections, asyncio.Protocol) for _ in range(3)]
    for one in (first, second):
        one.connection_made(Kept(closing=False))
    first.data_received(ASK)
    third.connection_made(Kept(closing=False))
    assert len(connections) == 2 and not first.transport.is_closing() and second.transport.is_closing()
    third.data_received(ASK[:-2])
    first.data_received(b"More: 1\r\n")  # who drips gains nothing by it
    WatchedConnection(connections, asyncio.Protocol).connection_made(Kept(closing=False))
    assert first.transport.is_closing() and not third.transport.is_closing()


async def test_connections_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    async with site(tmp_path, max_connections=5) as there, AsyncExitStack() as stack:
        for _ in range(50):
            stack.push_async_callback((await there.raw()).close)
        asking = await there.raw(ASK, until=END)
        stack.push_async_callback(asking.close)
        assert count(there) == 5


async def test_where_all_are_busy_one_more_is_told_to_come_again(tmp_path: Path) -> None:
    async with site(tmp_path, max_connections=2) as there, AsyncExitStack() as stack:
        async with there.house.consumer.holding("create"):
            waiting = [await there.raw(SEND) for _ in range(2)]
            for raw in waiting:
                stack.push_async_callback(raw.close)
            await until(lambda: there.house.runs.current and there.house.runs.waiting)
            refused = await there.raw(ASK)
            answer = await refused.rest()
            await refused.close()
            assert count(there) == 2 and closed(there) == {"refused": 1}
        for raw in waiting:
            assert b" 200 " in await raw.until(b"\r\n"), "who was busy is served to the end"
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 10" in head
    assert (json.loads(body)["status"], json.loads(body)["code"]) == (503, "busy")
    assert f"Content-Length: {len(body)}".encode() in head
    for name, value in security.HEADERS.items():
        assert f"{name}: {value}\r\n".encode() in head + b"\r\n"


@pytest.mark.parametrize("said", [b"", b"GET /heal", ASK[:-2], ASK])
async def test_a_connection_on_which_no_request_comes_is_closed(tmp_path: Path, said: bytes) -> None:
    """One that says nothing, one whose request stays half, one that was used and is idle."""
    async with site(tmp_path, idle_timeout=0.1) as there:
        raw = await there.raw(said)
        await raw.rest()
        await raw.close()
        assert closed(there) == {}
        await until(lambda: count(there) == 0)


@pytest.mark.parametrize("before", [b"", ASK])
async def test_a_header_that_drips_is_not_waited_for(tmp_path: Path, before: bytes) -> None:
    """On a new connection, and on one that was used."""

    async def drip(raw: Raw) -> None:
        while True:
            raw.writer.write(b"X-More: 1\r\n")
            await asyncio.sleep(0.01)

    async with site(tmp_path, header_timeout=0.1) as there:
        raw = await there.raw(before, until=END if before else b"")
        raw.writer.write(ASK[:-2])
        dripping = asyncio.create_task(drip(raw))
        assert await raw.rest() == b""
        dripping.cancel()
        await raw.close()
        assert closed(there) == {"header": 1}


async def test_a_request_that_takes_long_is_not_late(tmp_path: Path) -> None:
    async with site(tmp_path, header_timeout=0.05, idle_timeout=0.1) as there:
        async with there.house.consumer.holding("create"):
            raw = await there.raw(SEND)
            await asyncio.sleep(0.3)
        assert b" 200 " in await raw.until(b"\r\n")
        await raw.close()
        assert closed(there) == {}


async def test_a_body_that_takes_long_is_not_late(tmp_path: Path) -> None:
    async with site(tmp_path, header_timeout=0.05, idle_timeout=0.1) as there:
        raw = await there.raw(SEND[:-10])
        for place in range(10):
            await asyncio.sleep(0.03)
            raw.writer.write(SEND[-10:][place : place + 1])
        assert b" 200 " in await raw.until(b"\r\n")
        await raw.close()


BIG = "x" * (32 * 1024 * 1024)  # more than the system's own buffers hold


async def ask_for_much(there: Site) -> Raw:
    """A connection with an answer that is far too long to be taken from us unread."""
    run_id = "7b0e0a52-0000-4000-8000-000000000000"

    async def run(_: str) -> Any:
        raise ServerBusy(BIG)

    there.house.ledger.get_run = run  # type: ignore[method-assign]
    ask = f"GET /runs/{run_id}?format=json ".encode() + HEADERS + b"\r\n"
    return await there.raw(ask, until=b"\r\n")


async def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_PERIOD", 0.2)
    async with site(tmp_path, idle_timeout=3600) as there:
        raw = await ask_for_much(there)
        await until(lambda: count(there) == 0)
        assert closed(there) == {"unread": 1}
        await raw.close()


async def test_an_answer_that_is_read_slowly_but_steadily_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_PERIOD", 1.5)
    monkeypatch.setattr(connection, "MIN_READ", 1)
    async with site(tmp_path) as there:
        raw = await ask_for_much(there)
        got = 0
        async with asyncio.timeout(60):
            while got < len(BIG):
                got += len(await raw.reader.read(1 << 20))
                await asyncio.sleep(0.02)
        assert closed(there) == {}
        await raw.close()


async def test_an_answer_whose_connection_closes_is_not_kept_for_who_does_not_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left to be written when the server closes a connection would stay as long as the client likes."""
    monkeypatch.setattr(connection, "READ_PERIOD", 0.2)
    async with site(tmp_path) as there:
        raw = await ask_for_much(there)
        (one,) = there.app[CONNECTIONS]._known
        one.transport.close()
        await until(lambda: count(there) == 0)
        assert closed(there) == {"unread": 1}
        await raw.close()


class Kept(asyncio.Transport):
    """A transport with the end of an answer that its client has not read."""

    def __init__(self, *, closing: bool) -> None:
        super().__init__()
        self.closing = closing
        self.left = 1000

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return self.left


def test_the_end_of_an_answer_is_not_kept_once_its_connection_closes() -> None:
    """It is too little for the server to be told that it waits."""
    for closing in (True, False):
        one = WatchedConnection(Connections(limits(1), {}), asyncio.Protocol)
        one.transport = Kept(closing=closing)
        assert not one.is_unread(0.0)
        assert not one.is_unread(READ_PERIOD)
        assert one.is_unread(READ_PERIOD + 1) is closing


def test_who_reads_has_time_again() -> None:
    one = WatchedConnection(Connections(limits(1), {}), asyncio.Protocol)
    one.transport = kept = Kept(closing=True)
    kept.left = 10 * MIN_READ + 10
    for period in range(10):
        assert not one.is_unread(period * (READ_PERIOD + 1))
        kept.left -= MIN_READ
    assert not one.is_unread(10 * (READ_PERIOD + 1))
    kept.left = 0  # the last bytes are fewer
    assert not one.is_unread(11 * (READ_PERIOD + 1))


def limits(most: int) -> Limits:
    return Limits(fields=1, parameters=1, upload_rate=0, connections=most, header_timeout=1.0)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The limit of open files, soft and hard, as if it were so."""
    state = {"limit": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: state["limit"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: state.update(limit=limit))
    return state


def test_the_limit_of_open_files_is_raised_for_connections(
    files: dict[str, tuple[int, int]],
) -> None:
    many = Connections(limits(3000), {})
    many.limit_to_files()
    assert files["limit"] == (4096, 4096) and many._limit == 3000


def test_where_it_cannot_be_raised_there_are_fewer_connections(
    files: dict[str, tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    many = Connections(limits(10_000), {})
    many.limit_to_files()
    assert files["limit"] == (4096, 4096) and many._limit == 4096 - 128
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
