"""What a client says before its file: a file that is not wanted is not asked for, and a bad name does no harm."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from promise_pub.web.server import Services, make_app
from tests.house import House

Client = TestClient[web.Request, web.Application]
WITHIN = 30.0  # seconds; a test waits no longer for what comes at once
GOOD = "mode=batch&timeout=0"


@pytest.fixture
async def site(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[Client]:
    house = House(tmp_path / "uploads")
    house.uploads.limit = 1000
    async with house.runs:
        yield await aiohttp_client(make_app(Services(runs=house.runs, ledger=house.ledger, probes={})))  # type: ignore[arg-type]


class Talk:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.send = writer.write

    async def head(self) -> str:
        """The next status line with its headers."""
        text = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), WITHIN)
        return text.decode()


@asynccontextmanager
async def talking(site: Client) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection(site.host, site.port)
    yield Talk(reader, writer)
    writer.close()
    await writer.wait_closed()


def asked(query: str, length: int, path: str = "/simulate/", **headers: str) -> bytes:
    lines = {
        "Host": "localhost",
        "Accept": "application/json",
        "Content-Type": "text/csv",
        "Content-Length": str(length),
        "Expect": "100-continue",
        **headers,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path}?{query} HTTP/1.1\r\n{text}\r\n".encode()


async def test_a_file_that_is_wanted_is_asked_for(site: Client) -> None:
    async with talking(site) as talk:
        talk.send(asked(GOOD, 10))
        assert await talk.head() == "HTTP/1.1 100 Continue\r\n\r\n"
        talk.send(b"Ann,ann@x\n")
        answer = await talk.head()
    assert answer.startswith("HTTP/1.1 200 ") and "\r\nConnection: close" not in answer


async def test_the_beginning_of_a_file_is_asked_for_when_it_can_be_judged(site: Client) -> None:
    async with talking(site) as talk:
        talk.send(asked("columns=name,mail", 10, "/preview/"))
        assert await talk.head() == "HTTP/1.1 100 Continue\r\n\r\n"
        talk.send(b"Ann,ann@x\n")
        assert (await talk.head()).startswith("HTTP/1.1 200 ")
    for query, length, status in (("columns=", 10, 400), ("columns=name,mail", 1_000_000, 413)):
        async with talking(site) as talk:
            talk.send(asked(query, length, "/preview/"))
            assert (await talk.head()).startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    ("query", "length", "headers", "status"),
    [
        ("mode=neither", 10, {}, 400),
        ("mood=live", 10, {}, 400),
        (GOOD, 1_000_000, {}, 413),
        (GOOD, 10, {"Host": "evil.example"}, 421),
        (GOOD, 10, {"Sec-Fetch-Site": "cross-site"}, 403),
        (GOOD, 10, {"Expect": "miracles"}, 417),
    ],
)
async def test_a_file_that_is_not_wanted_is_not_asked_for(
    site: Client, query: str, length: int, headers: dict[str, str], status: int
) -> None:
    async with talking(site) as talk:
        talk.send(asked(query, length, **headers))
        answer = await talk.head()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    # What would come next could be the file, or another request.
    assert ("\r\nConnection: close\r\n" in answer) is (status != 417)


async def test_who_does_not_wait_is_not_asked(site: Client) -> None:
    """HTTP/1.0 has no such expectation, and is answered without one."""
    async with talking(site) as talk:
        talk.send(asked(GOOD, 10).replace(b"HTTP/1.1", b"HTTP/1.0") + b"Ann,ann@x\n")
        assert (await talk.head()).startswith("HTTP/1.0 200 ")


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        ("form-data; name=input_file; filename*=no-encoding", 200),
        ("form-data; name=input_file; filename*=x'y", 200),
        ("form-data; name*=input_file", 400),
        ("form-data; =; ;;", 400),
        ('"', 400),
    ],
)
async def test_a_bad_name_of_a_file_is_no_warning(site: Client, disposition: str, status: int) -> None:
    body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nAnn,ann@x\n\r\n--b--\r\n".encode()
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Accept": "application/json"}
    with warnings.catch_warnings(record=True) as told:
        answer = await site.post(f"/simulate/?{GOOD}", data=body, headers=headers)
    assert (answer.status, told) == (status, [])
    if status == 200:
        assert (await answer.json())["file"]["name"] == "unnamed.csv"
