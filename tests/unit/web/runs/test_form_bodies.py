"""Bodies of forms that are mostly something else: refused once that is known, however much is to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from promise_pub.http.intake import limits
from promise_pub.http.intake.limits import RateFloor
from promise_pub.web.runs import forms
from tests.web_house import Client, House, opened

WITHIN = 30.0  # seconds; a test waits no longer for what comes at once
ENDLESS = 10**9  # bytes that the client says it will send
LINES = forms.MAX_OVERHEAD // forms.LEAST_LINE  # short ones that a form may have
PART = b'--x\r\nContent-Disposition: form-data; name="input_file"; filename="a.csv"\r\n'
FIELDS = (b"mode", b"timeout", b"rate")
FILE = PART + b"\r\na,b\n\r\n"


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made
        assert not [*tmp_path.glob("*.part")]  # noqa: ASYNC240


async def answer_to(house: House, body: bytes, length: int = ENDLESS, query: str = "mode=batch") -> str:
    """Returns the answer to this beginning of a form, while the rest does not come."""
    house.uploads.limit = max(length, 1000)
    reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
    head = f"POST /simulate/?{query} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Length: {length}\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode() + body)
    try:
        async with asyncio.timeout(WITHIN):
            headers = await reader.readuntil(b"\r\n\r\n")
            size = next(
                int(line.split(b":")[1]) for line in headers.split(b"\r\n") if line.startswith(b"Content-Length")
            )
            return headers.decode() + (await reader.readexactly(size)).decode()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n" * (LINES + 1),
        b"\r\n" * (LINES + 1),
        b"x" * 100 + b"\r\n" + b"y\n" * (LINES + 1),
        (b"x" * 1_000 + b"\r\n") * 66,
        b"".join(
            PART.replace(b"input_file", name) + (b"X: " + b"y" * 200 + b"\r\n") * 120 + b"\r\n\r\n" for name in FIELDS
        )
        + b"-" * 1_000_000,
    ],
    ids=["short lines", "blank lines", "line feeds", "long lines", "headers"],
)
async def test_a_form_of_lines_is_refused_before_they_end(house: House, body: bytes) -> None:
    answer = await answer_to(house, body)
    assert answer.startswith("HTTP/1.1 400 "), answer
    assert "more than 65,536 bytes besides the values of its fields" in answer


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 600_000,
        PART + b"X: " + b"y" * 600_000,
        PART + b"X: y\r\n" * 200 + b"\r\n",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n" + b"--y\r\n" * 10,
        b"--x\r\n" * 200,
    ],
    ids=["no line end", "long header", "many headers", "nested", "no headers"],
)
async def test_a_form_that_is_none_is_refused_before_it_ends(house: House, body: bytes) -> None:
    assert (await answer_to(house, body)).startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("after", [b"", b"\r\n", b"x\r\n" * 10_000, b"--x--\r\n" * 10_000])
async def test_what_follows_the_end_of_a_form_is_not_read(house: House, after: bytes) -> None:
    body = FILE + b"--x--\r\n" + after
    answer = await answer_to(house, body, len(body))
    assert answer.startswith("HTTP/1.1 200 "), answer


async def test_some_words_before_the_first_field_do_no_harm(house: House) -> None:
    body = b"This is a message in several parts.\r\n\r\n" + FILE + b"--x--\r\n"
    assert (await answer_to(house, body, len(body))).startswith("HTTP/1.1 200 ")


async def test_lines_that_come_too_slowly_are_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE_PERIOD", 0.2)
    answer = await answer_to(house, b"x\r\n" * 100)
    assert answer.startswith("HTTP/1.1 408 "), answer
    assert "upload_too_slow" in answer


async def test_a_file_in_a_form_counts_as_the_lines_do(house: House) -> None:
    """Its bytes bring the share of a period for what came before them, too."""
    content = FakeContent([b"x\r\n", b"a" * 100_000])
    floor = RateFloor(1000)
    form = forms._FormContent(content, floor)  # type: ignore[arg-type]
    assert await form.readline() == b"x\r\n"
    assert len(await form.read(200_000)) == 100_000
    assert floor._received == 100_003


class FakeContent:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def readline(self) -> bytes:
        return self._pieces.pop(0)

    async def read(self, size: int) -> bytes:
        return self._pieces.pop(0)
